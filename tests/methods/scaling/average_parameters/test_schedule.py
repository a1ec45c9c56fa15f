"""When how much is removed: closed forms, the authors' configurations, properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.methods.scaling.average_parameters import (
    PruneSchedule,
    ScheduleWarning,
    continuous_schedule,
    prune_schedule,
)

SPARSITIES = st.floats(0.01, 0.95)


@pytest.mark.parametrize(
    ("sparsity", "expected"),
    [(0.5, (0.1732, 0.6535, 0.6929)), (0.6, (0.1526, 0.6186, 0.6103))],
)
def test_closed_form(sparsity, expected):
    assert continuous_schedule(sparsity) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(
    ("total", "sparsity", "published"), [(72_200, 0.5, (12_500, 47_200)), (26_800, 0.6, (4_100, 16_600))]
)
def test_the_authors_configurations_come_out_exactly(total, sparsity, published):
    plan = prune_schedule(total, sparsity)
    assert (plan.start_step, plan.end_step) == published


def test_a_window_of_steps_would_not_give_the_authors_configurations():
    plan = prune_schedule(72_200, 0.5, unit="steps")
    assert (plan.start_step, plan.end_step) == (18_000, 54_200)


@given(sparsity=SPARSITIES, start=st.floats(0.0, 0.6), width=st.floats(0.1, 0.4))
def test_closed_form_against_integration(sparsity, start, width):
    end = start + width
    begin, finish, mean = continuous_schedule(sparsity, start, end)
    t = (np.arange(200_000) + 0.5) / 200_000
    live = (1.0 - sparsity) ** np.clip((t - begin) / (finish - begin), 0.0, 1.0)
    assert live.mean() == pytest.approx(mean, abs=1e-5)
    assert live[t < begin].sum() / live.sum() == pytest.approx(start, abs=1e-4)
    assert live[t < finish].sum() / live.sum() == pytest.approx(end, abs=1e-4)


@given(sparsity=SPARSITIES, start=st.floats(0.0, 0.5), width=st.floats(0.2, 0.5))
def test_steps_schedule_approaches_the_closed_form_as_events_get_dense(sparsity, start, width):
    plan = prune_schedule(20_000, sparsity, start, start + width, frequency=1)
    assert plan.average_keep == pytest.approx(
        continuous_schedule(sparsity, start, start + width)[2], rel=0.01
    )
    assert plan.compute_share(plan.start_step) == pytest.approx(start, abs=2e-3)
    assert plan.compute_share(plan.end_step) == pytest.approx(start + width, abs=2e-3)


@given(sparsity=SPARSITIES, n=st.integers(1, 40), frequency=st.integers(1, 30), begin=st.integers(0, 50))
def test_every_event_removes_the_same_share_of_what_is_left(sparsity, n, frequency, begin):
    end = begin + (n - 1) * frequency
    plan = PruneSchedule(end + 7, sparsity, begin, end, frequency)
    kept = np.concatenate([[1.0], plan.keep])
    assert np.allclose(kept[1:] / kept[:-1], (1.0 - sparsity) ** (1.0 / n))
    assert plan.keep[-1] == 1.0 - sparsity
    assert plan.n_events == n == len(plan.steps)
    assert plan.steps[-1] == end


@given(sparsity=SPARSITIES, n=st.integers(1, 20), frequency=st.integers(1, 10), begin=st.integers(0, 30))
def test_summary_figures_are_sums_over_steps(sparsity, n, frequency, begin):
    end = begin + (n - 1) * frequency
    plan = PruneSchedule(end + 11, sparsity, begin, end, frequency)
    live = plan.keep_at(np.arange(plan.total_steps))
    assert plan.average_keep == pytest.approx(live.mean())
    for step in (0, begin, begin + 1, end, plan.total_steps):
        assert plan.compute_share(step) == pytest.approx(live[:step].sum() / live.sum())


def test_the_event_counts_for_its_own_step():
    plan = PruneSchedule(10, 0.5, 4, 4)
    assert plan.keep_at(3) == 1.0
    assert plan.keep_at(4) == 0.5


def test_no_sparsity_removes_nothing():
    plan = prune_schedule(1000, 0.0, frequency=10)
    assert continuous_schedule(0.0) == pytest.approx((0.25, 0.75, 1.0))
    assert (plan.start_step, plan.end_step, plan.average_keep) == (250, 750, 1.0)


def test_compute_stands_earlier_than_steps():
    assert continuous_schedule(0.5)[:2] < continuous_schedule(0.5, unit="steps")[:2] == (0.25, 0.75)
    assert continuous_schedule(0.5, unit="steps")[2] == pytest.approx(0.25 + 0.5 * 0.5 / math.log(2) + 0.125)


def test_snapping_far_is_announced():
    with pytest.warns(
        ScheduleWarning,
        match=r"from 23\.0% to 71\.2% of the compute, not from 25\.0% to 75\.0%: take a smaller",
    ):
        prune_schedule(1000, 0.75, frequency=100)


def test_an_end_at_the_end_still_prunes_in_time():
    assert prune_schedule(1000, 0.5, 0.5, 1.0, unit="steps", frequency=10).end_step == 990


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sparsity": 1.0}, r"sparsity must lie in \[0, 1\).*got 1\.0"),
        ({"sparsity": -0.1}, r"sparsity must lie in \[0, 1\).*got -0\.1"),
        ({"sparsity": float("nan")}, r"sparsity must lie in"),
        ({"start": 0.8}, r"0 <= start < end <= 1.*start=0\.8, end=0\.75"),
        ({"end": 1.2}, r"0 <= start < end <= 1.*end=1\.2"),
        ({"start": -0.1}, r"0 <= start < end <= 1"),
        ({"unit": "flops"}, r"unit must be 'compute' or 'steps', got 'flops'"),
        ({"frequency": 0}, r"frequency must be a whole number >= 1, got 0"),
        ({"total_steps": 2.5}, r"total_steps must be a whole number >= 1, got 2\.5"),
        ({"frequency": 2000}, r"fewer than two events in the [\d.]+ steps.*frequency=2000: take \d+ or less"),
    ],
)
def test_bad_input_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        prune_schedule(**({"total_steps": 1000, "sparsity": 0.5} | arguments))


def test_the_advice_on_frequency_is_good():
    with pytest.raises(ValueError, match="or less") as error:
        prune_schedule(1000, 0.5, frequency=2000)
    advised = int(str(error.value).split("take ")[1].split(" ")[0])
    with pytest.warns(ScheduleWarning):
        assert prune_schedule(1000, 0.5, frequency=advised).n_events >= 2


def test_a_window_that_frequency_does_not_divide_is_refused():
    with pytest.raises(
        ValueError, match=r"frequency must divide end_step - start_step = 250.*take end_step=300"
    ):
        PruneSchedule(1000, 0.5, 100, 350, 100)
    with pytest.raises(ValueError, match=r"end_step < total_steps must hold.*end_step=1000"):
        PruneSchedule(1000, 0.5, 100, 1000, 100)
    with pytest.raises(ValueError, match=r"step must lie in \[0, 1000\)"):
        PruneSchedule(1000, 0.5, 100, 200, 100).keep_at(1000)
    with pytest.raises(ValueError, match=r"step must lie in \[0, 1000\]"):
        PruneSchedule(1000, 0.5, 100, 200, 100).compute_share(1001)
