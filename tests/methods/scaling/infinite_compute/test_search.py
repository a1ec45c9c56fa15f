"""The walk over the grid: finds minima, certifies them, trains nothing twice, tells what it cannot know."""

from __future__ import annotations

import itertools
import math
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.methods.scaling.infinite_compute import (
    DataConstrainedSearch,
    SearchWarning,
    double_epochs_half_decay,
)
from broadsheet.methods.scaling.infinite_compute.published import MEMBER_SETTINGS, TUNED_SETTINGS

GRID = {
    "lr": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2],
    "epochs": [1, 2, 4, 8, 16, 32],
    "weight_decay": [0.1, 0.4, 1.6, 3.2, 6.4],
}


def bowl(lr, epochs, weight_decay):
    """Least at rate 1e-3, 8 epochs, decay 1.6."""
    return math.log(lr / 1e-3) ** 2 + math.log2(epochs / 8) ** 2 + math.log2(weight_decay / 1.6) ** 2 + 3.0


@pytest.mark.parametrize("start", [None, {"lr": 1e-2, "epochs": 32, "weight_decay": 0.1}])
def test_finds_and_certifies_the_minimum_of_a_bowl(start):
    search = DataConstrainedSearch(bowl, GRID)
    assert search.run(start) == {"lr": 1e-3, "epochs": 8, "weight_decay": 1.6}
    assert search.certified_
    assert search.edges_ == ()
    assert search.best_loss_ == 3.0
    assert search.path_[-1] == search.best_


def test_the_certificate_takes_all_six_neighbours():
    search = DataConstrainedSearch(bowl, GRID)
    best = search.run()
    trained = {tuple(row) for row in search.history_[list(GRID)].itertuples(index=False)}
    for name, values in GRID.items():
        i = values.index(best[name])
        for other in (values[i - 1], values[i + 1]):
            assert tuple({**best, name: other}.values()) in trained


def test_nothing_is_trained_twice_even_by_another_search():
    calls = []

    def train(**settings):
        calls.append(tuple(settings.values()))
        return bowl(**settings)

    cache = {}
    first = DataConstrainedSearch(train, GRID, cache=cache)
    first.run({"lr": 1e-4, "epochs": 1, "weight_decay": 6.4})
    count = len(calls)
    assert count == len(set(calls)) == first.n_runs_ == len(first.history_)
    again = DataConstrainedSearch(train, GRID, cache=cache)
    again.run({"lr": 1e-4, "epochs": 1, "weight_decay": 6.4})
    assert len(calls) == count
    assert again.certified_
    assert again.n_runs_ == 0


@given(st.lists(st.floats(0, 10), min_size=36, max_size=36), st.integers(0, 35))
def test_what_is_certified_is_a_local_minimum_of_any_table(losses, begin):
    grid = {"a": [1, 2, 3], "b": [1, 2, 3, 4], "c": [1, 2, 3]}
    points = list(itertools.product(*grid.values()))
    table = dict(zip(points, losses, strict=True))
    search = DataConstrainedSearch(lambda a, b, c: table[a, b, c], grid)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SearchWarning)
        best = tuple(search.run(dict(zip(grid, points[begin], strict=True))).values())
    assert search.certified_
    assert table[best] <= table[points[begin]]
    for point in points:
        if sum(abs(x - y) for x, y in zip(point, best, strict=True)) == 1:
            assert table[best] <= table[point]


def test_batched_training_gets_all_neighbours_at_once_and_finds_the_same():
    sizes = []

    def train(settings):
        sizes.append(len(settings))
        return [bowl(**one) for one in settings]

    search = DataConstrainedSearch(train, GRID, batched=True)
    plain = DataConstrainedSearch(bowl, GRID)
    assert search.run() == plain.run()
    assert sizes[:2] == [1, 6]
    assert search.history_.equals(plain.history_)
    broken = DataConstrainedSearch(lambda settings: [1.0] * (len(settings) + 1), GRID, batched=True)
    with pytest.raises(ValueError, match=r"one loss per setting \(1\), got 2"):
        broken.run()


def test_an_edge_is_told():
    search = DataConstrainedSearch(lambda lr, epochs: lr - epochs, {"lr": [1, 2, 3], "epochs": [1, 2, 3]})
    with pytest.warns(SearchWarning, match="lr, epochs lies at the edge"):
        search.run()
    assert search.certified_
    assert search.edges_ == ("lr", "epochs")


def test_an_axis_of_one_value_is_no_edge():
    search = DataConstrainedSearch(lambda lr, epochs: (epochs - 2) ** 2, {"lr": [1], "epochs": [1, 2, 3]})
    assert search.run() == {"lr": 1, "epochs": 2}
    assert search.edges_ == ()


@pytest.mark.parametrize("budget", [1, 3, 8])
def test_a_budget_ends_the_search_without_a_certificate(budget):
    search = DataConstrainedSearch(bowl, GRID, max_runs=budget)
    with pytest.warns(SearchWarning, match=f"max_runs={budget}"):
        search.run({"lr": 1e-2, "epochs": 32, "weight_decay": 0.1})
    assert not search.certified_
    assert search.n_runs_ == budget
    assert search.best_loss_ == search.history_["loss"].min()


def test_runs_that_diverge_are_no_better_than_any():
    def train(lr, epochs):
        return math.nan if lr > 1 else (epochs - 2) ** 2 - lr

    search = DataConstrainedSearch(train, {"lr": [0.5, 1, 2], "epochs": [1, 2, 3]})
    assert search.run({"lr": 0.5, "epochs": 2}) == {"lr": 1, "epochs": 2}
    assert search.certified_
    with pytest.raises(ValueError, match="diverged"):
        DataConstrainedSearch(lambda lr: math.inf, {"lr": [1, 2, 3]}).run()


def test_errors_of_training_come_through():
    def train(lr):
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        DataConstrainedSearch(train, {"lr": [1, 2]}).run()


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({}, "at least one axis"),
        ({"lr": []}, r"grid\['lr'\] must hold ascending finite values"),
        ({"lr": [3, 1]}, "ascending"),
        ({"lr": [1, 1]}, "ascending"),
        ({"lr": [1, math.inf]}, "finite"),
    ],
)
def test_bad_grids_are_refused(grid, message):
    with pytest.raises(ValueError, match=message):
        DataConstrainedSearch(bowl, grid)


def test_bad_starts_and_budgets_are_refused():
    search = DataConstrainedSearch(bowl, GRID)
    with pytest.raises(ValueError, match="start must name the axes lr, epochs, weight_decay, got lr"):
        search.run({"lr": 1e-3})
    with pytest.raises(ValueError, match=r"start\['lr'\] must be one of .* got 0.5"):
        search.run({"lr": 0.5, "epochs": 8, "weight_decay": 1.6})
    with pytest.raises(ValueError, match="max_runs must be at least 1 or None, got 0"):
        DataConstrainedSearch(bowl, GRID, max_runs=0)


def test_the_rule_for_members_is_the_authors():
    for where, (epochs, lr, decay) in TUNED_SETTINGS.items():
        made = double_epochs_half_decay({"epochs": epochs, "lr": lr, "weight_decay": decay})
        assert (made["epochs"], made["lr"], made["weight_decay"]) == MEMBER_SETTINGS[where]


def test_the_rule_leaves_other_settings_and_small_decays():
    assert double_epochs_half_decay({"epochs": 4, "weight_decay": 0.15, "batch": 3}) == {
        "epochs": 8,
        "weight_decay": 0.1,
        "batch": 3,
    }
    assert double_epochs_half_decay({"epochs": 4, "weight_decay": 0.0})["weight_decay"] == 0.0
    with pytest.raises(ValueError, match="best must give weight_decay"):
        double_epochs_half_decay({"epochs": 4})
    with pytest.raises(ValueError, match="best must give epochs as a positive number, got 0"):
        double_epochs_half_decay({"epochs": 0, "weight_decay": 1.0})
