"""The envelope and its resampling, against slow code that follows the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from broadsheet.methods.scaling.densing_law.envelope import bootstrap_lines, line, records


def slow_records(days, values):
    found = []
    best = -np.inf
    for day in sorted(set(days)):
        rows = [i for i, d in enumerate(days) if d == day]
        top = max(rows, key=lambda i: values[i])
        if values[top] > best:
            best = values[top]
            found.append(top)
    return found


days_values = st.integers(1, 25).flatmap(
    lambda n: st.tuples(
        arrays(float, n, elements=st.integers(0, 9).map(float)),
        arrays(float, n, elements=st.floats(-5, 5, width=32), unique=True),
    )
)


@given(days_values)
def test_records_are_those_of_the_definition(case):
    days, values = case
    assert records(days, values).tolist() == slow_records(days.tolist(), values.tolist())


@given(days_values, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(case, random):
    days, values = case
    order = np.array(random.sample(range(len(days)), len(days)))
    assert set(values[records(days, values)]) == set(values[order][records(days[order], values[order])])


def test_a_line_is_numpys():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 500, 12), rng.normal(size=12)
    slope, level = np.polyfit(x, y, 1)
    A, B, r2 = line(x, y)
    assert (pytest.approx(slope), pytest.approx(level)) == (A, B)
    assert r2 == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)
    with pytest.raises(ValueError, match="at least 2 distinct days, got 1"):
        line([3, 3], [1, 2])


def test_the_bootstrap_finds_the_envelope_of_every_sample_anew():
    rng = np.random.default_rng(1)
    n, count = 30, 200
    days = rng.integers(0, 12, n).astype(float) * 30
    logs = 0.005 * days + rng.normal(size=n)
    fast = bootstrap_lines(days, logs, count, np.random.default_rng(7))
    drawn = np.random.default_rng(7).integers(0, n, (count, n))
    order = np.argsort(days, kind="stable")
    for found, rows in zip(fast, drawn, strict=True):
        d, y = days[order][rows], logs[order][rows]
        kept = slow_records(d.tolist(), y.tolist())
        if len(kept) < 2:
            assert np.isnan(found).all()
        else:
            assert found == pytest.approx(np.polyfit(d[kept], y[kept], 1), abs=1e-9)
    # not what fitting all models, or resampling one envelope, would give
    assert np.nanstd(fast[:, 0]) > 0
    assert abs(np.nanmean(fast[:, 0]) - np.polyfit(days, logs, 1)[0]) > 1e-4


def test_chunks_do_not_change_the_draws(monkeypatch):
    from broadsheet.methods.scaling.densing_law import envelope

    days, logs = np.arange(20.0), np.linspace(0, 1, 20)
    whole = bootstrap_lines(days, logs, 50, np.random.default_rng(3))
    monkeypatch.setattr(envelope, "_CHUNK", 60)
    assert bootstrap_lines(days, logs, 50, np.random.default_rng(3)) == pytest.approx(whole, nan_ok=True)
