"""Formulas, standardisation, and columns that cannot be told apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from broadsheet.methods.statistics.flexible_survival.design import Block, Formula, Rows, read_settings

FRAME = pd.DataFrame(
    {
        "trt": [0, 1, 0, 1, 0, 1],
        "age": [50.0, 60, 55, 70, 65, 45],
        "arm": ["a", "b", "c", "a", "b", "c"],
    }
)
ONES = np.ones(6)


def test_settings_are_formulas_or_numbers():
    got = read_settings({"lam": None, "phi": "trt", "gamma": 2, "kappa": np.inf})
    assert got == {"lam": 1.0, "phi": "trt", "gamma": 2.0, "kappa": np.inf}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kappa": -1}, "kappa must be held above -1 .* got -1"),
        ({"kappa": -3.5}, "got -3.5"),
        ({"gamma": 0}, "gamma must be held at a number > 0, got 0"),
        ({"lam": np.inf}, "lam must be held at a number > 0, got inf"),
        ({"phi": ""}, "phi must be a formula"),
        ({"phi": "time ~ trt"}, "right-hand side"),
        ({"phi": ["trt"]}, r"phi must be a formula, a number or None, got \['trt'\]"),
        ({"phi": True}, "got True"),
        ({"phi": 1.0}, "at least one parameter must have a formula"),
    ],
)
def test_bad_settings_are_named(change, message):
    settings = {"lam": None, "phi": "trt", "gamma": None, "kappa": 1.0} | change
    with pytest.raises(ValueError, match=message):
        read_settings(settings)


def test_a_formula_reads_other_rows_as_it_read_the_first():
    formula = Formula("phi", "center(age) + arm")
    first = formula.learn(FRAME)
    assert formula.names == ["Intercept", "arm[T.b]", "arm[T.c]", "center(age)"] or first.shape == (6, 4)
    np.testing.assert_allclose(formula.design(FRAME.iloc[[3, 0]]), first[[3, 0]])


def test_a_dot_stands_for_all_columns():
    formula = Formula("phi", ".")
    formula.learn(FRAME)
    assert set(formula.columns) == {"trt", "age", "arm"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("agee", "phi='agee' cannot be read: .*agee.*columns 'trt', 'age', 'arm'"),
        ("trt +* age", "cannot be read"),
        ("0", "has no term"),
        ("np.log(trt)", "is not finite in every row"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_formulas_that_cannot_be_used_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        Formula("phi", text).learn(FRAME)


def test_gaps_and_unseen_levels_are_named():
    formula = Formula("gamma", "age + arm")
    formula.learn(FRAME)
    with pytest.raises(
        ValueError, match="'arm': level 'z' was not seen at the fit; the levels are 'a', 'b', 'c'"
    ):
        formula.design(FRAME.assign(arm="z"))
    with pytest.raises(ValueError, match="column 'age' is missing; the formula of gamma uses it"):
        formula.design(FRAME[["arm"]])
    with pytest.raises(ValueError, match=r"'age'.* in row 2 \(1 such rows\)"):
        formula.design(FRAME.assign(age=[1.0, 2, np.nan, 4, 5, 6]))
    with pytest.raises(ValueError, match="'age'"):
        Formula("gamma", "age").learn(FRAME.assign(age=np.inf))


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("trt + one", {"one": 1.0}, "column 'one' is constant beside the intercept"),
        ("0 + nil", {"nil": 0.0}, "column 'nil' is 0 in every row"),
        ("age + years", {"years": FRAME["age"] * 2 + 3}, "column 'years' is a linear combination of 'age'"),
        (
            "trt + age + mix",
            {"mix": FRAME["age"] - FRAME["trt"]},
            "'mix' is a linear combination of 'trt', 'age'",
        ),
    ],
)
def test_columns_that_say_nothing_new_are_named(text, columns, message):
    with pytest.raises(ValueError, match=message):
        Block.make("phi", text, FRAME.assign(**columns), ONES)


def test_standardised_columns_give_the_same_predictor():
    rng = np.random.default_rng(1)
    blocks = [
        Block.make(name, text, FRAME, ONES)
        for name, text in {"lam": 2.0, "phi": "age + arm", "gamma": "0 + trt", "kappa": "1"}.items()
    ]
    rows = Rows(blocks, 6)
    theta = rng.normal(size=rows.size)
    user = rows.to_user() @ theta
    for one, other in zip(rows.predictors(theta), rows.others(FRAME).predictors(user), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)
    inner = rows.blocks[1].matrix[:, 1:]
    np.testing.assert_allclose(inner.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose((inner**2).mean(axis=0), 1.0)


def test_a_covariate_far_from_zero_loses_no_digits():
    far = FRAME.assign(age=FRAME["age"] + 1e8)
    block = Block.make("phi", "age", far, ONES)
    near = Block.make("phi", "age", FRAME, ONES)
    np.testing.assert_allclose(block.matrix, near.matrix, atol=1e-6)


def test_derivatives_are_chained_to_the_coefficients():
    blocks = [
        Block.make(name, text, FRAME, ONES)
        for name, text in {"lam": 2.0, "phi": "age", "gamma": "1", "kappa": 1.0}.items()
    ]
    rows = Rows(blocks, 6).others(FRAME)
    chained = rows.chain({1: np.arange(6.0), 2: 3.0, 3: 9.0})
    np.testing.assert_allclose(chained[:, 1], np.arange(6.0) * FRAME["age"])
    np.testing.assert_allclose(chained[:, 2], 3.0)
    assert chained.shape == (6, 3)
