"""Our own runs: a model learns what it reads, and the table of a study is complete."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from broadsheet.lab.run import local_run
from broadsheet.methods.scaling.regmix.domains import DOMAINS, load_domains
from broadsheet.methods.scaling.regmix.study import EPOCHS, SETTINGS, TARGET, studies, train_losses


@pytest.fixture(scope="module")
def found():
    return studies(local_run("smoke"))


def test_a_model_is_best_at_the_domain_that_it_reads():
    settings = SETTINGS["smoke"]
    text = load_domains(dict.fromkeys(DOMAINS, 10_000), 1000)
    alone = pd.DataFrame(np.eye(5), columns=list(DOMAINS), index=list(DOMAINS))
    losses = train_losses(settings, text, alone, large=True, seed=0)
    assert (losses.idxmin() == losses.columns).all()


def test_the_bound_allows_so_many_passes():
    for settings in SETTINGS.values():
        share = settings.max_epochs * (settings.prior / settings.prior.sum())
        read = share * settings.large_steps * settings.batch
        assert np.allclose(read / settings.prior, EPOCHS)


def test_a_study_has_fourteen_arms_within_the_bound(found):
    study = found[0]
    assert list(study.arms.index[:4]) == ["regmix", "uniform", "prior", "target only"]
    assert study.arms.shape == (14, 5)
    assert np.allclose(study.arms.sum(axis=1), 1.0)
    settings = SETTINGS["smoke"]
    cap = settings.max_epochs * settings.prior[TARGET] / settings.prior.sum()
    drawn = study.arms.drop(index=["uniform", "target only"])
    assert drawn[TARGET].max() <= cap + 1e-9
    assert len(study.mixtures) == len(study.losses) == settings.proxies
    assert study.large.shape == study.small.shape == (14, 5)


def test_larger_models_trained_as_long_are_better(found):
    assert (found[0].large[TARGET] < found[0].small[TARGET]).mean() > 0.8


def test_a_study_is_trained_once(found, monkeypatch):
    from broadsheet.methods.scaling.regmix import study

    def never(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(study, "_compute", never)
    again = studies(local_run("smoke"))
    pd.testing.assert_frame_equal(again[0].large, found[0].large)
