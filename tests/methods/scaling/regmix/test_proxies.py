"""Proxy runs: each mixture is trained on once, whatever happens in between."""

from __future__ import annotations

import functools
import json

import numpy as np
import pandas as pd
import pytest

from broadsheet.methods.scaling import MixtureWarning, ProxyFailed, ProxyRunner, RegMix, sample_mixtures

MIXTURES = sample_mixtures({"code": 1, "web": 2}, 6, seed=0)


class Counted:
    """A training function that knows how often it ran, and can fail in given calls."""

    def __init__(self, fail=()):
        self.seen, self.fail = [], set(fail)

    def __call__(self, weights):
        self.seen.append(weights.to_dict())
        if len(self.seen) - 1 in self.fail:
            raise MemoryError("no room")
        return {"web": 3.0 - weights["web"], "code": 2.0 - weights["code"]}


def in_a_process(weights):
    return float(weights["web"])


def batched(frame):
    return pd.DataFrame({"web": 3.0 - frame["web"]})


def test_losses_come_back_with_the_rows_of_the_mixtures():
    found = ProxyRunner(Counted()).run(MIXTURES.set_axis(list("abcdef")))
    assert list(found.index) == list("abcdef")
    assert np.allclose(found["web"], 3.0 - MIXTURES["web"])
    assert np.allclose(found["code"], 2.0 - MIXTURES["code"])


def test_finished_runs_are_not_run_again(tmp_path):
    train = Counted()
    first = ProxyRunner(train, cache=tmp_path).run(MIXTURES[:4])
    second = ProxyRunner(train, cache=tmp_path).run(MIXTURES)
    assert len(train.seen) == 6
    pd.testing.assert_frame_equal(second[:4], first)
    # columns in another order are the same mixture
    ProxyRunner(train, cache=tmp_path).run(MIXTURES[["web", "code"]])
    assert len(train.seen) == 6


def test_another_version_is_run_anew(tmp_path):
    train = Counted()
    for version in ("a", "b", "a"):
        ProxyRunner(train, cache=tmp_path, version=version).run(MIXTURES)
    assert len(train.seen) == 12


def test_another_function_is_run_anew(tmp_path):
    one, other = (lambda w: float(w["web"])), (lambda w: float(w["code"]))
    a = ProxyRunner(one, cache=tmp_path).run(MIXTURES)
    b = ProxyRunner(other, cache=tmp_path).run(MIXTURES)
    assert not np.allclose(a, b)


def scaled(weights, factor):
    return factor * float(weights["web"])


def test_settings_that_a_function_carries_are_part_of_it(tmp_path):
    def closing(factor):
        return lambda weights: factor * float(weights["web"])

    for make in (closing, lambda factor: functools.partial(scaled, factor=factor)):
        for factor in (2.0, 3.0, 2.0):
            found = ProxyRunner(make(factor), cache=tmp_path).run(MIXTURES)
            assert np.allclose(found["loss"], factor * MIXTURES["web"])
    assert len(list(tmp_path.glob("*.json"))) == 24


def test_the_same_mixture_twice_is_one_run():
    train = Counted()
    twice = pd.concat([MIXTURES[:2], MIXTURES[:2]], ignore_index=True)
    found = ProxyRunner(train).run(twice)
    assert len(train.seen) == 2
    assert np.array_equal(found[:2], found[2:])


def test_a_failed_run_is_named_and_the_others_are_kept(tmp_path):
    train = Counted(fail=[1])
    with pytest.raises(
        ProxyFailed, match="1 of 6 proxy runs failed, the first in row 1: MemoryError: no room"
    ):
        ProxyRunner(train, cache=tmp_path).run(MIXTURES)
    assert len(list(tmp_path.glob("*.json"))) == 5
    ProxyRunner(train, cache=tmp_path).run(MIXTURES)
    assert len(train.seen) == 7  # only the failed one


def test_failures_can_be_missing_losses_which_the_fit_drops():
    many = sample_mixtures({"code": 1, "web": 2}, 30, seed=0)
    with pytest.warns(MixtureWarning, match="1 of 30 proxy runs failed"):
        found = ProxyRunner(Counted(fail=[2]), on_error="nan").run(many)
    assert found.isna().all(axis=1).sum() == 1
    with pytest.warns(MixtureWarning, match="1 of 30 runs are left out"):
        assert RegMix("linear").fit(many, found).n_dropped_ == 1


def test_if_every_run_fails_it_is_an_error_in_any_case():
    with pytest.raises(ProxyFailed, match="6 of 6"):
        ProxyRunner(Counted(fail=range(6)), on_error="nan").run(MIXTURES)


def test_a_diverged_run_is_kept_as_missing(tmp_path):
    def diverged(weights):
        return {"web": np.nan, "code": np.inf}

    for _ in range(2):
        found = ProxyRunner(diverged, cache=tmp_path).run(MIXTURES)
        assert not np.isfinite(found.to_numpy()).any()
    kept = json.loads(next(tmp_path.glob("*.json")).read_text())
    assert kept == {"web": None, "code": None}


def test_a_damaged_entry_is_trained_again(tmp_path):
    train = Counted()
    runner = ProxyRunner(train, cache=tmp_path)
    first = runner.run(MIXTURES)
    sorted(tmp_path.glob("*.json"))[0].write_text('{"web": 3.')
    pd.testing.assert_frame_equal(runner.run(MIXTURES), first)
    assert len(train.seen) == 7
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_batches_give_the_same_losses(batch, tmp_path):
    found = ProxyRunner(batched, batch=batch, cache=tmp_path).run(MIXTURES)
    assert np.allclose(found["web"], 3.0 - MIXTURES["web"])
    assert len(list(tmp_path.glob("*.json"))) == 6


def test_a_batch_with_missing_rows_is_a_failure():
    with pytest.raises(ProxyFailed, match=r"one row of losses per mixture \(6\), got 5"):
        ProxyRunner(lambda frame: batched(frame)[:5], batch=10).run(MIXTURES)


def test_processes_give_the_same_losses(tmp_path):
    found = ProxyRunner(in_a_process, n_jobs=2, cache=tmp_path).run(MIXTURES)
    assert np.allclose(found["loss"], MIXTURES["web"])
    assert len(list(tmp_path.glob("*.json"))) == 6


@pytest.mark.parametrize("given", [[1.0, 2.0], {}, "high"])
def test_what_is_no_loss_is_a_failure(given):
    with pytest.raises(ProxyFailed, match=r"train_fn must return|could not convert"):
        ProxyRunner(lambda weights: given).run(MIXTURES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_fn": 3}, "train_fn must be callable"),
        ({"n_jobs": 0}, "n_jobs must not be 0"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"on_error": "skip"}, "raise or nan"),
    ],
)
def test_bad_settings_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        ProxyRunner(**({"train_fn": in_a_process} | change))


def test_what_is_no_mixture_is_refused_before_any_run():
    train = Counted()
    with pytest.raises(ValueError, match="row 0 sums to"):
        ProxyRunner(train).run(MIXTURES * 2)
    assert not train.seen
