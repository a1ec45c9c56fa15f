"""Pruning against integrals, step-by-step loops, torch's own pruning, and a training written out by hand."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from torch import nn
from torch.nn.utils import prune

from broadsheet.methods.scaling import (
    AverageParameters,
    Chinchilla,
    GradualMagnitudePruner,
    PruneSchedule,
    ScheduleWarning,
    SparsePretrainingCallback,
    continuous_schedule,
    prune_schedule,
)
from broadsheet.methods.scaling.average_parameters import average_parameters

# Trainings of some ten steps cannot be snapped finely; the plan that runs is what these tests compare with.
pytestmark = pytest.mark.filterwarnings("ignore:with frequency=")

sparsities = st.floats(0.01, 0.98)
windows = st.tuples(st.floats(0.0, 0.9), st.floats(0.05, 1.0)).filter(lambda w: w[1] - w[0] > 0.05)


def net(seed: int = 0, bias: bool = True) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(12, 20, bias), nn.LayerNorm(20), nn.ReLU(), nn.Linear(20, 8, bias))


def linears(model: nn.Module) -> list[nn.Linear]:
    return [m for m in model.modules() if isinstance(m, nn.Linear)]


def masks(model: nn.Module) -> list[torch.Tensor]:
    """What is live in the forward pass; no weight of these tests is 0 by itself."""
    return [m.weight.detach() != 0 for m in linears(model)]


def whole(share: float, M: int) -> int:
    """int(share M) of the real numbers: 1 - 0.8 is a rounding below 0.2, and a fifth of 400 is 80."""
    return int(share * M + 1e-9)


def rule_mask(scores: torch.Tensor, old: torch.Tensor, keep: float) -> torch.Tensor:
    """The rule in words: sort, take the score at M - int(keep M), keep what reaches it and was there."""
    M = scores.numel()
    threshold = torch.sort(scores * old).values[M - whole(keep, M)]
    return old & (scores * old >= threshold)


# --- the schedule -------------------------------------------------------------------------------------------------


@given(sparsities, windows)
@settings(max_examples=60)
def test_the_closed_form_spends_the_shares_of_compute_it_was_asked_for(s, window):
    """Compute by quadrature of the live share, 1e-9 its tolerance; the shares are ratios of such integrals."""
    start, end = window
    a, b, mean = continuous_schedule(s, start, end)

    def keep(t):
        return (1 - s) ** np.clip((t - a) / (b - a), 0, 1)

    parts = [integrate.quad(keep, *ends, epsabs=1e-12)[0] for ends in ((0, a), (a, b), (b, 1))]
    assert 0 <= a < b <= 1 + 1e-12
    assert mean == pytest.approx(sum(parts), rel=1e-8)
    np.testing.assert_allclose(np.cumsum(parts) / sum(parts), [start, end, 1], atol=1e-8)


def test_the_closed_form_in_figures():
    """Shares printed with four digits."""
    assert continuous_schedule(0.5) == pytest.approx((0.1732, 0.6535, 0.6929), abs=5e-5)
    assert continuous_schedule(0.6) == pytest.approx((0.1526, 0.6186, 0.6103), abs=5e-5)
    assert continuous_schedule(0.0) == pytest.approx((0.25, 0.75, 1.0), abs=1e-12)
    for s in (0.2, 0.5, 0.8):
        assert continuous_schedule(s, unit="steps")[:2] == pytest.approx((0.25, 0.75), abs=1e-12)


@pytest.mark.parametrize(
    ("total", "s", "start", "end"), [(72_200, 0.5, 12_500, 47_200), (26_800, 0.6, 4_100, 16_600)]
)
def test_the_authors_configurations_within_one_interval(total, s, start, end):
    plan = prune_schedule(total, s)
    assert plan.frequency == 100
    assert abs(plan.start_step - start) <= 100
    assert abs(plan.end_step - end) <= 100


@given(sparsities, st.integers(0, 60), st.integers(1, 25), st.integers(1, 9), st.integers(1, 80))
@settings(max_examples=60)
def test_a_discrete_schedule_is_what_a_loop_over_steps_finds(s, first, intervals, frequency, tail):
    last = first + intervals * frequency
    total = last + tail
    plan = PruneSchedule(total, s, first, last, frequency)
    events = list(range(first, last + 1, frequency))
    n = len(events)
    live, shares = 1.0, []
    for t in range(total):
        if t in events:
            live = (1 - s) ** ((events.index(t) + 1) / n)
        shares.append(live)
    assert plan.n_events == n
    assert plan.steps.tolist() == events
    assert plan.keep[-1] == pytest.approx(1 - s, rel=1e-14)
    ratios = plan.keep / np.r_[1, plan.keep[:-1]]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-10)  # an equal relative cut at every event
    np.testing.assert_allclose(plan.keep_at(np.arange(total)), shares, rtol=1e-12)
    assert plan.average_keep == pytest.approx(np.mean(shares), rel=1e-12)
    for step in (0, first, last, total):
        assert plan.compute_share(step) == pytest.approx(sum(shares[:step]) / sum(shares), abs=1e-12)


@given(st.floats(0.05, 0.95))
@settings(max_examples=20)
def test_fine_schedules_tend_to_the_closed_form(s):
    """At frequency 1 of 4000 steps snapping moves the ends by 1 / 4000, sums replace integrals likewise: 1 %."""
    plan = prune_schedule(4000, s, frequency=1)
    a, b, mean = continuous_schedule(s)
    assert plan.average_keep == pytest.approx(mean, rel=0.01)
    assert plan.start_step / 4000 == pytest.approx(a, abs=1 / 4000)
    assert plan.end_step / 4000 == pytest.approx(b, abs=1 / 4000)
    assert plan.compute_share(plan.start_step) == pytest.approx(0.25, abs=0.005)
    assert plan.compute_share(plan.end_step) == pytest.approx(0.75, abs=0.005)


def test_planning_in_steps_prunes_too_late_and_is_another_plan():
    """25 to 75 % of the steps is 36 to 84 % of the compute or so: never the same plan unless nothing is pruned."""
    by_compute, by_steps = (prune_schedule(10_000, 0.8, unit=unit) for unit in ("compute", "steps"))
    assert by_steps.start_step == 2500
    assert by_steps.end_step == 7500
    assert by_steps.compute_share(7500) > 0.85
    assert by_compute.end_step < 6500


# --- masks --------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.sampled_from([0.3, 0.5, 0.8, 0.95]))
@settings(max_examples=8)
def test_masks_of_resting_weights_are_those_of_torch_prune(seed, s):
    """The same number of weights removed from fresh copies by L1Unstructured over all tensors; equal as sets."""
    model, plan = net(seed), prune_schedule(60, s, frequency=4)
    weights = [m.weight.detach().clone() for m in linears(model)]
    M = sum(w.numel() for w in weights)
    pruner = GradualMagnitudePruner(s, frequency=4).attach(model, 60)
    for t in range(60):
        pruner.step(t)
        keep = float(plan.keep_at(np.array(t)))
        if t not in plan.steps:
            continue
        peer = net(seed)
        for module, weight in zip(linears(peer), weights, strict=True):
            module.weight.data = weight.clone()
        removed = M - whole(keep, M)
        if removed:
            prune.global_unstructured(
                [(m, "weight") for m in linears(peer)], prune.L1Unstructured, amount=removed
            )
            for mine, other in zip(masks(model), linears(peer), strict=True):
                assert torch.equal(mine, other.weight_mask.bool())
            assert pruner.live_parameters == M - removed


def by_hand(s: float, total: int, frequency: int, x: torch.Tensor, y: torch.Tensor):
    """A training with masks written out: no module is touched, the masks stand in the forward pass."""
    plan, source = prune_schedule(total, s, frequency=frequency), net(3, bias=False)
    W = [nn.Parameter(m.weight.detach().clone()) for m in linears(source)]
    gain, shift = (nn.Parameter(p.detach().clone()) for p in (source[1].weight, source[1].bias))
    optimizer = torch.optim.AdamW([*W, gain, shift], lr=0.02, weight_decay=0.1)
    old = torch.ones(sum(w.numel() for w in W), dtype=torch.bool)
    live = []
    for t in range(total):
        if t in plan.steps:
            scores = torch.cat([w.detach().abs().ravel() for w in W])
            old = rule_mask(scores, old, float(plan.keep_at(np.array(t))))
        parts = [m.view_as(w) for m, w in zip(old.split([w.numel() for w in W]), W, strict=True)]
        hidden = nn.functional.layer_norm(x[t] @ (W[0] * parts[0]).T, (20,), gain, shift).relu()
        nn.functional.mse_loss(hidden @ (W[1] * parts[1]).T, y[t]).backward()
        optimizer.step()
        optimizer.zero_grad()
        live.append(int(old.sum()))
    return [(w * p).detach() for w, p in zip(W, parts, strict=True)], gain.detach(), live


def test_a_training_is_the_one_written_out_by_hand():
    """Events before the gradient step, never-returning weights, an optimiser left alone. Equal arithmetic, so only
    roundings in another order separate them (1e-5 after 80 steps); the masks are equal.
    """
    total, s, frequency = 80, 0.75, 3
    torch.manual_seed(0)
    x, y = torch.randn(total, 16, 12), torch.randn(total, 16, 8)
    weights, gain, live = by_hand(s, total, frequency, x, y)

    model = net(3, bias=False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02, weight_decay=0.1)
    pruner = GradualMagnitudePruner(s, frequency=frequency).attach(model, total)
    counted = []
    for t in range(total):
        pruner.step(t)
        nn.functional.mse_loss(model(x[t]), y[t]).backward()
        optimizer.step()
        optimizer.zero_grad()
        counted.append(pruner.live_parameters)
    assert counted == live
    assert pruner.average_parameters == pytest.approx(np.mean(live), rel=1e-12)
    model = pruner.finalize()
    for mine, other in zip(linears(model), weights, strict=True):
        assert torch.equal(mine.weight != 0, other != 0)
        torch.testing.assert_close(mine.weight.detach(), other, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model[1].weight.detach(), gain, rtol=1e-4, atol=1e-5)
    assert set(model.state_dict()) == set(net(bias=False).state_dict())
    assert sum(int((m.weight != 0).sum()) for m in linears(model)) == pruner.live_parameters


def test_removed_weights_get_no_gradient_and_never_come_back():
    model = net()
    pruner = GradualMagnitudePruner(0.6, frequency=2).attach(model, 40)
    seen = masks(model)
    for t in range(40):
        pruner.step(t)
        now = masks(model)
        assert all(bool((~before & after).sum() == 0) for before, after in zip(seen, now, strict=True))
        seen = now
        model.zero_grad()
        model(torch.randn(8, 12)).square().sum().backward()
        matrices = [p for p in model.parameters() if p.ndim == 2]
        for raw, live in zip(matrices, now, strict=True):
            assert bool((raw.grad[~live] == 0).all())
            raw.data[~live] = 1e3  # what momentum or decay do to a removed weight must not matter
    model = pruner.finalize()
    for layer, live in zip(linears(model), seen, strict=True):
        assert torch.equal(layer.weight != 0, live)


def test_everything_but_linear_weights_stays_and_excluded_names_stay():
    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(10, 8)
            self.first, self.second, self.head = nn.Linear(8, 16), nn.Linear(16, 8), nn.Linear(8, 10)
            self.norm = nn.LayerNorm(8)

    torch.manual_seed(1)
    model = Decoder()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    pruner = GradualMagnitudePruner(0.5, frequency=2, exclude=("head",)).attach(model, 20)
    assert pruner.dense_parameters == 8 * 16 + 16 * 8
    for t in range(20):
        pruner.step(t)
    after = dict(pruner.finalize().named_parameters())
    for name in before:
        if name not in ("first.weight", "second.weight"):
            assert torch.equal(before[name], after[name])
    assert (after["first.weight"] == 0).sum() + (after["second.weight"] == 0).sum() == 128


def test_ranking_is_over_all_layers_unless_each_is_asked_for():
    """One layer a hundred times smaller: ranked together it goes first, ranked alone it keeps its share."""
    counts = {}
    for scope in ("global", "layer"):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
        model[0].weight.data.uniform_(0.001, 0.002)
        model[1].weight.data.uniform_(0.1, 0.2)
        pruner = GradualMagnitudePruner(0.5, frequency=2, scope=scope).attach(model, 20)
        for t in range(20):
            pruner.step(t)
        counts[scope] = [int(m.sum()) for m in masks(model)]
    assert counts == {"global": [0, 64], "layer": [32, 32]}


def test_ties_stay_as_the_rule_says():
    """Weights 1, 2, 3, 4, sixteen of each: half to be removed lands on the threshold 3, and 3 stays whole."""
    model = nn.Sequential(nn.Linear(8, 8))
    values = torch.arange(64).remainder(4) + 1.0
    model[0].weight.data = values.view(8, 8).clone()
    old = torch.ones(64, dtype=torch.bool)
    plan = prune_schedule(40, 0.4, frequency=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScheduleWarning)  # that ties keep too many is said, see the README
        pruner = GradualMagnitudePruner(0.4, frequency=2).attach(model, 40)
        for t in range(40):
            pruner.step(t)
            if t in plan.steps:
                old = rule_mask(values, old, float(plan.keep_at(np.array(t))))
            assert torch.equal(masks(model)[0].ravel(), old)


def test_random_scores_are_fixed_blind_to_magnitude_and_fair():
    """The survivors of one layer of 1024 among 2048 at s = .5 are hypergeometric: mean 512, sd 11.3; 5 sd granted."""
    found = {}
    for name, state, scale in (("a", 0, 1.0), ("scaled", 0, 1e-3), ("other", 1, 1.0)):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(32, 32), nn.Linear(32, 32))
        model[0].weight.data *= scale
        pruner = GradualMagnitudePruner(0.5, frequency=2, score="random", random_state=state).attach(
            model, 20
        )
        for t in range(20):
            pruner.step(t)
        found[name] = masks(model)
    assert all(torch.equal(a, b) for a, b in zip(found["a"], found["scaled"], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(found["a"], found["other"], strict=True))
    assert sum(int(m.sum()) for m in found["a"]) == 1024
    assert int(found["a"][0].sum()) == pytest.approx(512, abs=57)


@given(st.integers(0, 1000), st.sampled_from([0.25, 0.4, 0.5]))
@settings(max_examples=8)
def test_two_of_four_protects_the_two_largest_and_ranks_the_rest(seed, s):
    """Resting weights: of each four inputs the two largest live for ever; of the others the largest.

    The plan's share of all weights is met to the weight; which way its fraction is rounded is not laid down.
    """
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(16, 12), nn.Linear(12, 8))
    weights = [m.weight.detach().clone() for m in linears(model)]
    protected = torch.cat([_two_largest(w).ravel() for w in weights])
    size = torch.cat([w.abs().ravel() for w in weights])
    M = len(size)
    plan = prune_schedule(40, s, frequency=2)
    pruner = GradualMagnitudePruner(s, frequency=2, structure="2:4").attach(model, 40)
    for t in range(40):
        pruner.step(t)
        live = torch.cat([m.ravel() for m in masks(model)])
        keep = float(plan.keep_at(np.array(t))) * M
        assert bool(live[protected].all())
        assert np.floor(keep + 1e-9) <= int(live.sum()) <= np.ceil(keep - 1e-9)
        rest, gone = size[live & ~protected], size[~live]
        if len(rest) and len(gone):
            assert rest.min() >= gone.max()
    if s == 0.5:
        for mask in masks(model):
            assert bool((mask.view(mask.shape[0], -1, 4).sum(-1) == 2).all())


def _two_largest(weight: torch.Tensor) -> torch.Tensor:
    groups = weight.abs().view(weight.shape[0], -1, 4)
    mask = torch.zeros_like(groups, dtype=torch.bool)
    return mask.scatter(2, groups.topk(2, dim=2).indices, True).view_as(weight)


def test_tied_weights_count_once():
    model = nn.Sequential(nn.Linear(8, 8, bias=False), nn.ReLU(), nn.Linear(8, 8, bias=False))
    model[2].weight = model[0].weight
    pruner = GradualMagnitudePruner(0.5, frequency=2).attach(model, 20)
    assert pruner.dense_parameters == 64
    for t in range(20):
        pruner.step(t)
    assert pruner.live_parameters == 32
    model = pruner.finalize()
    assert torch.equal(model[0].weight, model[2].weight)
    assert int((model[0].weight == 0).sum()) == 32


# --- the mean count -----------------------------------------------------------------------------------------------


def test_the_mean_count_weighs_by_tokens_and_six_times_it_is_the_compute():
    rng = np.random.default_rng(0)
    tokens = rng.integers(100, 2000, 50)
    model = net()
    pruner = GradualMagnitudePruner(0.7, frequency=2).attach(model, 50)
    live = []
    for t in range(50):
        pruner.step(t, tokens=int(tokens[t]))
        live.append(sum(int(m.sum()) for m in masks(model)))
    flops = sum(6 * n * d for n, d in zip(live, tokens, strict=True))
    assert 6 * pruner.average_parameters * tokens.sum() == pytest.approx(flops, rel=1e-12)
    assert pruner.average_parameters != pytest.approx(
        np.mean(live), rel=1e-3
    )  # by steps it is another number
    assert average_parameters(pruner.history) == pytest.approx(pruner.average_parameters, rel=1e-12)


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), min_size=1, max_size=20))
@settings(max_examples=40)
def test_a_history_s_mean_is_the_weighted_one_however_it_is_cut(rows):
    live, steps = (np.array(column, float) for column in zip(*rows, strict=True))
    mean = (live * steps).sum() / steps.sum()
    assert average_parameters(pd.DataFrame({"live": live, "steps": steps})) == pytest.approx(mean, rel=1e-12)
    assert average_parameters(pd.DataFrame({"live": live, "tokens": steps})) == pytest.approx(mean, rel=1e-12)
    halved = pd.DataFrame({"live": np.r_[live, live], "steps": np.r_[steps, steps] / 2})
    assert average_parameters(halved) == pytest.approx(mean, rel=1e-12)


def test_a_resumed_training_prunes_on():
    """Half-way the state is written and read into a new model: the weights rest, so the end must be the same."""
    whole = net(5)
    pruner = GradualMagnitudePruner(0.8, frequency=2).attach(whole, 40)
    for t in range(20):
        pruner.step(t)
    state = {name: value.clone() for name, value in whole.state_dict().items()}
    for t in range(20, 40):
        pruner.step(t)
    again = net(6)
    second = GradualMagnitudePruner(0.8, frequency=2)
    plain = {name: value for name, value in state.items() if not name.endswith("_mask")}
    again.load_state_dict(plain)
    second.attach(again, 40, step=20)
    for t in range(20, 40):
        second.step(t)
    assert all(torch.equal(a, b) for a, b in zip(masks(whole), masks(again), strict=True))
    # Counts are whole, the plan's shares are not: int() takes less than one weight of 400 at each step.
    assert second.average_parameters == pytest.approx(pruner.average_parameters, abs=1)


def test_a_saved_state_holds_zeros_where_weights_are_gone_and_comes_back():
    model = net(5)
    pruner = GradualMagnitudePruner(0.8, frequency=2).attach(model, 40)
    for t in range(25):
        pruner.step(t)
    state = model.state_dict()
    saved = torch.cat([state["0.weight"].ravel(), state["3.weight"].ravel()])
    assert int((saved != 0).sum()) == pruner.live_parameters
    other = net(8)
    GradualMagnitudePruner(0.8, frequency=2).attach(other, 40)
    other.load_state_dict(state)
    x = torch.randn(4, 12)
    assert torch.equal(model(x), other(x))


# --- the law ------------------------------------------------------------------------------------------------------


def test_the_law_is_chinchillas_of_the_mean_count():
    """Losses made from the mean: dense and sparse runs lie on one surface (objective 0 but for rounding), which the
    final count does not give.
    """
    N0, D, s = (a.ravel() for a in np.meshgrid([1e7, 4e7, 1.6e8, 6e8], [1e9, 4e9, 2e10], [0.0, 0.5, 0.8]))
    mean = N0 * [continuous_schedule(one)[2] for one in s]
    loss = 1.8 + 480 / mean**0.35 + 2100 / D**0.37
    law = AverageParameters().fit(pd.DataFrame({"N": mean, "D": D, "loss": loss}))
    assert law.params_ == pytest.approx(
        {"A": 480, "B": 2100, "E": 1.8, "alpha": 0.35, "beta": 0.37}, rel=1e-3
    )
    final = AverageParameters().fit(pd.DataFrame({"N": N0 * (1 - s), "D": D, "loss": loss}))
    assert law.objective_ < 1e-12
    assert final.objective_ > 1e-5
    other = Chinchilla().fit(pd.DataFrame({"N": mean, "D": D, "loss": loss}))
    assert other.params_ == pytest.approx(law.params_, rel=1e-9)


@given(st.floats(1e6, 1e10), st.floats(1e8, 1e12), sparsities)
@settings(max_examples=30)
def test_trainings_of_equal_compute(N, D, s):
    law = AverageParameters.from_params({"A": 480, "B": 2100, "E": 1.8, "alpha": 0.35, "beta": 0.37})
    row = law.equal_compute(N=N, D=D, sparsity=[s]).iloc[0]
    r = s / np.log(1 / (1 - s))
    Z = 0.25 + 0.5 / r + 0.25 / (1 - s)
    assert row["initial"] == pytest.approx(N * Z, rel=1e-9)
    assert row["final"] == pytest.approx(N * Z * (1 - s), rel=1e-9)
    assert row["average"] == pytest.approx(N, rel=1e-9)
    assert row["compute"] == pytest.approx(6 * N * D, rel=1e-9)
    assert row["loss"] == pytest.approx(1.8 + 480 / N**0.35 + 2100 / D**0.37, rel=1e-9)


# --- a trainer ----------------------------------------------------------------------------------------------------


def test_the_callback_drives_the_pruner_as_a_loop_would():
    model, other = net(2), net(2)
    callback = SparsePretrainingCallback(sparsity=0.6, frequency=2)
    args, control = SimpleNamespace(), SimpleNamespace()
    state = SimpleNamespace(global_step=0, max_steps=30, is_world_process_zero=True)
    callback.on_train_begin(args, state, control, model=model)
    pruner = GradualMagnitudePruner(0.6, frequency=2).attach(other, 30)
    for t in range(30):
        state.global_step = t
        callback.on_step_begin(args, state, control, model=model)
        pruner.step(t)
        assert callback.pruner.live_parameters == pruner.live_parameters
    state.global_step = 30
    callback.on_train_end(args, state, control, model=model)
    assert callback.pruner.average_parameters == pytest.approx(pruner.average_parameters, rel=1e-12)
    assert all(
        torch.equal(a.weight, b.weight)
        for a, b in zip(linears(model), linears(pruner.finalize()), strict=True)
    )


# --- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("s", [1.0, 1.2, -0.1, np.nan])
def test_impossible_sparsities_are_refused(s):
    for make in (GradualMagnitudePruner, lambda s: prune_schedule(1000, s), continuous_schedule,
                 lambda s: PruneSchedule(1000, s, 100, 300)):  # fmt: skip
        with pytest.raises(ValueError, match=r"sparsity.*\[0, 1\)"):
            make(s)


@pytest.mark.parametrize(("start", "end"), [(0.5, 0.5), (0.7, 0.3), (0.2, 1.1), (-0.1, 0.5)])
def test_impossible_windows_are_refused(start, end):
    for make in (
        lambda a, b: GradualMagnitudePruner(0.5, a, b),
        lambda a, b: prune_schedule(1000, 0.5, a, b),
        lambda a, b: continuous_schedule(0.5, a, b),
    ):
        with pytest.raises(ValueError, match=r"start.*end"):
            make(start, end)


def test_a_frequency_must_divide_the_window_or_the_window_is_snapped():
    with pytest.raises(ValueError, match="divide"):
        PruneSchedule(1000, 0.5, 100, 250, 100)
    with pytest.raises(ValueError, match="frequency"):
        prune_schedule(1000, 0.5, frequency=0)
    with pytest.warns(ScheduleWarning, match="frequency=150"):
        plan = prune_schedule(1000, 0.5, frequency=150)
    assert (plan.end_step - plan.start_step) % 150 == 0
    with pytest.raises(ValueError, match="frequency"):
        GradualMagnitudePruner(0.5, frequency=100).attach(net(), 50)


def test_structures_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"got 0\.6"):
        GradualMagnitudePruner(0.6, structure="2:4")
    with pytest.raises(ValueError, match=r"4.*6"):
        GradualMagnitudePruner(0.5, structure="2:4", frequency=1).attach(nn.Sequential(nn.Linear(6, 8)), 10)


def test_a_model_without_linear_layers_is_told_what_was_seen():
    model = nn.Sequential(nn.Embedding(10, 8), nn.LayerNorm(8))
    with pytest.raises(ValueError, match=r"Embedding.*LayerNorm"):
        GradualMagnitudePruner(0.5, frequency=1).attach(model, 10)


def test_a_pruner_is_attached_once_and_steps_in_order():
    model = net()
    pruner = GradualMagnitudePruner(0.5, frequency=1).attach(model, 10)
    with pytest.raises(RuntimeError, match="attached"):
        pruner.attach(net(), 10)
    with pytest.raises(ValueError, match="parametrised already"):
        GradualMagnitudePruner(0.5, frequency=1).attach(model, 10)
    for wrong in (1, -1):
        with pytest.raises(ValueError, match="order"):
            pruner.step(wrong)
    pruner.step(0)
    for wrong in (0, 2):
        with pytest.raises(ValueError, match="order"):
            pruner.step(wrong)
    for t in range(1, 10):
        pruner.step(t)
    with pytest.raises(ValueError, match="total_steps"):
        pruner.step(10)
    fresh = GradualMagnitudePruner(0.5)
    for ask in (lambda: fresh.step(0), fresh.finalize):
        with pytest.raises(RuntimeError, match="not attached"):
            ask()


def test_leaving_early_is_said():
    pruner = GradualMagnitudePruner(0.5, frequency=1).attach(net(), 10)
    pruner.step(0)
    with pytest.warns(ScheduleWarning, match="0 of"):
        pruner.finalize()


def test_histories_that_lack_something_are_refused():
    for wrong, words in (
        (pd.DataFrame(), "live"),
        (pd.DataFrame({"live": [1.0, -1.0]}), "row 1"),
        (pd.DataFrame({"live": [1.0, 2.0], "tokens": [3.0, np.nan]}), "tokens"),
        (pd.DataFrame({"live": [1.0, 2.0], "tokens": [3.0, 0.0]}), "tokens"),
    ):
        with pytest.raises(ValueError, match=words):
            average_parameters(wrong)
