"""Sampling until a pass: counting, resuming, faults of checkers and samplers, and the mean over items."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.methods.scaling.pass_until.until import CheckerError, PassUntil, dataset_pass_rate

ITEMS = [{"id": f"item {i}", "prompt": str(p), "p": p} for i, p in enumerate([0.5, 0.1, 0.02, 0.005])]


class ByIndex:
    """Passes with the probability that the prompt says; sample i is the same in any batch."""

    temperature = 1.0
    settings = {"temperature": 1.0}  # noqa: RUF012

    def __init__(self):
        self.asked = []

    def sample(self, prompt, first, count, seed):
        self.asked.append(count)
        rng = np.random.default_rng(seed)
        rng.random(first)
        return ["yes" if u < float(prompt) else "no" for u in rng.random(count)]


def plain(prompt, n, seed):
    return ["yes" if u < float(prompt) else "no" for u in np.random.default_rng(seed).random(n)]


def yes(item, text):
    return text == "yes"


@given(st.integers(1, 300), st.integers(1, 4))
def test_the_batch_size_does_not_change_the_result(batch, r):
    for sampler in (ByIndex(), plain):
        one = PassUntil(sampler, yes, r, 3000, 256, seed=3).run(ITEMS)
        other = PassUntil(sampler, yes, r, 3000, batch, seed=3).run(ITEMS)
        pd.testing.assert_frame_equal(one, other)


def test_K_is_the_index_of_the_last_pass_not_a_batch_end():
    table = PassUntil(ByIndex(), yes, 3, 10_000, seed=1).run(ITEMS)
    until = PassUntil(ByIndex(), yes, 3, 10_000, seed=1)
    for item, row in zip(ITEMS, table.itertuples(), strict=True):
        texts = list(zip(range(row.K), until._texts(row.item, item["prompt"]), strict=False))
        passes = [i for i, text in texts if text == "yes"]
        assert len(passes) == 3
        assert passes[-1] == row.K - 1
    assert set(table["K"]) - {32, 64, 96, 224, 256}


def test_mean_rates_have_the_bias_of_the_formula_and_no_other():
    items = [{"id": i, "prompt": "0.1"} for i in range(4000)]
    table = PassUntil(ByIndex(), yes, 2, 10_000, seed=5).run(items)
    assert table["p_unbiased"].mean() == pytest.approx(0.1, abs=0.005)
    assert table["p_mle"].mean() == pytest.approx(0.1 * 1.65368, abs=0.006)
    assert ((table["lower"] <= 0.1) & (table["upper"] >= 0.1)).mean() == pytest.approx(0.955, abs=0.02)


def test_an_item_does_not_depend_on_its_company():
    whole = PassUntil(ByIndex(), yes, 2, 5000).run(ITEMS)
    alone = PassUntil(ByIndex(), yes, 2, 5000).run([ITEMS[2]])
    assert whole.loc[2, "K"] == alone.loc[0, "K"]
    assert PassUntil(ByIndex(), yes, 2, 5000, seed=1).run([ITEMS[2]]).loc[0, "K"] != alone.loc[0, "K"]


def test_the_cap_is_kept_and_never_passed_items_stay():
    sampler = ByIndex()
    table = PassUntil(sampler, yes, 1, 500).run([{"prompt": "0"}, {"prompt": "1"}])
    assert sum(sampler.asked[:-1]) == 500
    assert table["capped"].tolist() == [True, False]
    assert table[["r", "K"]].to_numpy().tolist() == [[0, 500], [1, 1]]
    assert table["p_mle"].tolist() == [0.0, 1.0]
    assert table["upper"][0] == pytest.approx(1 - 0.025 ** (1 / 500))
    assert dataset_pass_rate(table)["pu"][0] == 0.5
    assert table["temperature"].tolist() == [1.0, 1.0]


def test_a_run_goes_on_where_it_stopped(tmp_path):
    journal = tmp_path / "runs" / "journal.jsonl"
    whole = PassUntil(ByIndex(), yes, 2, 5000).run(ITEMS)
    calls = []

    def stops(item, text):
        calls.append(item["id"])
        if item["id"] == "item 2":
            raise KeyboardInterrupt
        return text == "yes"

    with pytest.raises(KeyboardInterrupt):
        PassUntil(ByIndex(), stops, 2, 5000).run(ITEMS, journal=journal)
    with journal.open("a") as file:
        file.write('{"item": "item 2", "r"')  # cut off in the middle of a line
    seen = []

    def counts(item, text):
        seen.append(item["id"])
        return text == "yes"

    again = PassUntil(ByIndex(), counts, 2, 5000).run(ITEMS, journal=journal)
    pd.testing.assert_frame_equal(again, whole)
    assert set(seen) == {"item 2", "item 3"}
    with pytest.raises(ValueError, match=r"other settings \(r, seed\)"):
        PassUntil(ByIndex(), yes, 3, 5000, seed=9).run(ITEMS, journal=journal)
    assert len(journal.read_text().splitlines()) == 5
    assert json.loads(journal.read_text().splitlines()[0])["settings"]["temperature"] == 1.0


def test_texts_are_checked_once_unless_told_otherwise():
    calls = []

    def checker(item, text):
        calls.append(text)
        return text == "yes"

    PassUntil(ByIndex(), checker, 2, 5000).run([ITEMS[2]])
    assert sorted(calls) == ["no", "yes"]
    calls.clear()
    table = PassUntil(ByIndex(), checker, 2, 5000, remember=False).run([ITEMS[2]])
    assert len(calls) == table.loc[0, "K"]


def test_a_raising_checker_names_the_item():
    def broken(item, text):
        raise ZeroDivisionError("by nought")

    with pytest.raises(CheckerError, match="item 'item 0': the checker raised ZeroDivisionError: by nought"):
        PassUntil(ByIndex(), broken).run(ITEMS)
    table = PassUntil(ByIndex(), broken, max_samples=50, on_error="fail").run(ITEMS)
    assert table["r"].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"r": 0}, "r must be a whole number >= 1, got 0"),
        ({"r": 5, "max_samples": 4}, "max_samples must be at least r=5, got 4"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"on_error": "skip"}, "on_error must be 'raise' or 'fail'"),
        ({"chance": "ignore"}, "chance must be 'refuse' or 'subtract'"),
        ({"level": 95}, "level must lie between 0 and 1"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        PassUntil(plain, yes, **options)


def test_greedy_sampling_is_refused():
    sampler = ByIndex()
    sampler.temperature = 0
    with pytest.raises(ValueError, match="fails once is drawn until the cap"):
        PassUntil(sampler, yes)


def test_bad_items():
    run = PassUntil(plain, yes).run
    with pytest.raises(ValueError, match="at least one item"):
        run([])
    with pytest.raises(ValueError, match="the id 'a' stands there twice"):
        run([{"id": "a", "prompt": "1"}, {"id": "a", "prompt": "1"}])
    with pytest.raises(ValueError, match="item '0': prompt must be a text, got None"):
        run([{"question": "1"}])
    with pytest.raises(ValueError, match="returned 1 texts, 64 were asked for"):
        PassUntil(lambda prompt, n, seed: ["no"], yes).run(ITEMS)


def test_a_guessing_floor_is_refused_or_subtracted():
    items = [{"prompt": "0.5", "chance": 0.25}]
    with pytest.raises(ValueError, match=r"can be guessed with chance 0\.25"):
        PassUntil(ByIndex(), yes, 50).run(items)
    raw = PassUntil(ByIndex(), yes, 50).run([{"prompt": "0.5"}])
    table = PassUntil(ByIndex(), yes, 50, chance="subtract").run(items)
    assert table["p_mle"][0] == pytest.approx((raw["p_mle"][0] - 0.25) / 0.75)
    assert table["lower"][0] == pytest.approx(max(0, (raw["lower"][0] - 0.25) / 0.75))


def test_frames_are_items_too():
    table = PassUntil(ByIndex(), yes).run(pd.DataFrame(ITEMS))
    assert table["item"].tolist() == [i["id"] for i in ITEMS]


@pytest.mark.parametrize("r", [2, 5])
@pytest.mark.parametrize(("low", "high"), [(-3, -0.3), (-0.15, -0.01)])
def test_the_interval_of_the_mean_holds_it_and_is_no_wider(r, low, high):
    rng = np.random.default_rng(8)
    true = 10 ** rng.uniform(low, high, 25)
    hits, means, widths = 0, [], []
    for seed in range(150):
        k = np.random.default_rng([seed, r]).negative_binomial(r, true) + r
        table = pd.DataFrame({"r": r, "K": k, "capped": False})
        table["p_mle"], table["p_unbiased"] = r / k, (r - 1) / (k - 1)
        row = dataset_pass_rate(table, 1e6, estimate="p_unbiased", n_draws=400).iloc[0]
        hits += row["lower"] <= true.mean() <= row["upper"]
        means.append(row["pu"])
        widths.append(row["upper"] - row["lower"])
    assert hits / 150 >= 0.85
    assert np.mean(means) == pytest.approx(true.mean(), rel=0.05)
    assert np.mean(widths) == pytest.approx(2 * 1.96 * np.std(means), rel=0.35)


def test_items_that_all_pass_at_once_still_leave_a_lower_end():
    row = dataset_pass_rate(
        PassUntil(ByIndex(), yes, 5).run([{"prompt": "1"}] * 3), estimate="p_unbiased"
    ).iloc[0]
    assert (row["pu"], row["upper"]) == (1.0, 1.0)
    assert 0.4 < row["lower"] < 0.95


def test_items_may_be_resampled():
    table = PassUntil(ByIndex(), yes, 5, 20_000).run(ITEMS)
    fixed, drawn = (dataset_pass_rate(table, items=kind).iloc[0] for kind in ("fixed", "resampled"))
    assert fixed["pu"] == drawn["pu"] == table["p_mle"].mean()
    assert drawn["upper"] - drawn["lower"] > fixed["upper"] - fixed["lower"]
    one = PassUntil(ByIndex(), yes, 1).run(ITEMS)
    with pytest.raises(ValueError, match="run with r >= 2"):
        dataset_pass_rate(one, estimate="p_unbiased")
    with pytest.raises(ValueError, match="items must be 'fixed' or 'resampled'"):
        dataset_pass_rate(one, items="all")
    with pytest.raises(ValueError, match="estimate must be"):
        dataset_pass_rate(one, estimate="mean")
