"""Curves over members against direct evaluation, and their errors against what they estimate."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from tests.methods.scaling.infinite_compute.conftest import made
from torch.nn import functional as F

from broadsheet.methods.scaling import Reciprocal
from broadsheet.methods.scaling.infinite_compute import LogitEnsemble, ensemble_curve
from broadsheet.methods.scaling.infinite_compute.curve import subset_losses


@torch.no_grad()
def direct(models, tokens, mode="logit"):
    logits = models[0].eval()(tokens) if len(models) == 1 else LogitEnsemble(models, mode)(tokens).logits
    return float(F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()))


@pytest.mark.parametrize("mode", ["logit", "prob"])
def test_all_subsets_are_averaged(models, tokens, mode):
    curve = ensemble_curve(models, tokens, subsets="all", mode=mode, batch=2)
    for k in range(1, 5):
        losses = [direct(list(part), tokens, mode) for part in itertools.combinations(models, k)]
        assert curve.table["loss"][k - 1] == pytest.approx(np.mean(losses), abs=1e-6)
    assert curve.table["subsets"].tolist() == [4, 6, 4, 1]


def test_nested_subsets_are_the_first_members(models, tokens):
    curve = ensemble_curve(LogitEnsemble(models).stack(), tokens)
    assert curve.table["loss"].tolist() == pytest.approx(
        [direct(models[:k], tokens) for k in range(1, 5)], abs=1e-6
    )
    assert curve.table["subsets"].tolist() == [1, 1, 1, 1]
    assert curve.table["K"].tolist() == [1, 2, 3, 4]


def test_the_mean_over_all_subsets_falls_with_every_member(tokens):
    losses = ensemble_curve(made(6), tokens, subsets="all").table["loss"].to_numpy()
    assert (np.diff(losses) < 0).all()


def test_a_function_may_evaluate(models):
    worth = {id(model): value for model, value in zip(models, (1.0, 2.0, 3.0, 4.0), strict=True)}
    curve = ensemble_curve(models, lambda part: sum(worth[id(m)] for m in part) / len(part), subsets="all")
    assert curve.table["loss"].tolist() == pytest.approx([2.5] * 4)
    # Of a mean, the jackknife is the standard error of the mean.
    error = np.std([1, 2, 3, 4], ddof=1) / 2
    assert curve.table["se"].tolist() == pytest.approx([error] * 4)


def test_errors_over_members_are_those_of_new_members():
    """Of one member, the loss scatters over draws of members as the jackknife says."""
    rng = np.random.default_rng(0)
    means, errors = [], []
    for _ in range(300):
        worth = rng.normal(3.0, 0.2, 6)
        models = made(6)
        value = {id(m): w for m, w in zip(models, worth, strict=True)}
        curve = ensemble_curve(
            models, lambda part, v=value: 2 + sum(v[id(m)] for m in part) / len(part), subsets="all"
        )
        means.append(curve.table["loss"][0])
        errors.append(curve.table["se"][0])
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(means), rel=0.1)


def test_asymptotes_of_a_known_curve(models):
    curve = ensemble_curve(models, lambda part: 2.0 + 0.5 / len(part))
    fit = curve.asymptote("reciprocal")
    assert pytest.approx((0.5, 2.0)) == (fit.A, fit.E)
    assert (fit.low, fit.high) == pytest.approx((2.0, 2.0), abs=1e-6)
    assert pytest.approx(2.0, abs=1e-4) == curve.asymptote("power").E


def test_the_law_of_the_core_takes_a_curve(tokens):
    curve = ensemble_curve(made(6), tokens, subsets="all")
    law = Reciprocal(loss="mse", space="linear").fit(curve.table, x="K")
    assert law.params_["E"] == pytest.approx(curve.asymptote().E, rel=1e-4)


def test_the_interval_of_an_asymptote_is_that_over_members(tokens):
    curve = ensemble_curve(made(5), tokens, subsets="all")
    fit = curve.asymptote()
    assert fit.low < fit.E < fit.high
    assert fit.high - fit.low > curve.table["se"].min()


def test_prefix_sums_give_what_subsets_give_alone():
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(5, 9, 4, generator=generator), torch.randint(0, 4, (9,), generator=generator)
    subsets = [(0,), (0, 1, 4), (2, 3), (0, 2), (1, 2, 3, 4), (4,)]
    together = subset_losses(iter([batch]), subsets)
    for subset in subsets:
        assert together[subset] == pytest.approx(subset_losses(iter([batch]), [subset])[subset], abs=1e-6)
        expected = F.cross_entropy(batch[0][list(subset)].mean(0), batch[1])
        assert together[subset] == pytest.approx(float(expected), abs=1e-6)


def test_bad_input_is_refused(models, tokens):
    with pytest.raises(ValueError, match="at least 2 members, got 1"):
        ensemble_curve(models[:1], tokens)
    with pytest.raises(ValueError, match="subsets must be 'nested' or 'all', got 'some'"):
        ensemble_curve(models, tokens, subsets="some")
    with pytest.raises(ValueError, match="all subsets of 13 members are 8191"):
        ensemble_curve(made(13), lambda part: 1.0, subsets="all")
    with pytest.raises(ValueError, match="validation must be"):
        ensemble_curve(models, tokens[0])
    assert math.isfinite(ensemble_curve(made(13), lambda part: 2 + 1 / len(part)).table["loss"].iloc[-1])
