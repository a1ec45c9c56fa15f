"""How the reference tests call the method (the adapter), and one fit of every kind beside its reference."""

from __future__ import annotations

import functools
import warnings

from broadsheet.methods.statistics import APGWRegressor

from .reference_apgw import Model, design
from .reference_data import censored, truncated, visited

INF = float("inf")
COLUMNS = {"duration_col": "time", "event_col": "event"}


# ---------------------------------------------------------------- the adapter: what the method calls things
def fit(frame, *, entry=None, weights=None, interval=False, **blocks):
    """Fit by named columns; warnings are the test's to expect."""
    columns = {"lower_bound_col": "lower", "upper_bound_col": "upper"} if interval else dict(COLUMNS)
    return APGWRegressor(**blocks).fit(frame, **columns, entry_col=entry, weights_col=weights)


def fit_quietly(frame, **how):
    """The fitted model, and whether it warned."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        return fit(frame, **how), bool(seen)


def parameters_of(fitted, model):
    """The coefficients in the order of the reference."""
    assert set(fitted.params_.index) == set(model.terms)
    return fitted.params_.loc[model.terms].to_numpy(float)


def errors_of(fitted, model):
    return fitted.standard_errors_.loc[model.terms].to_numpy(float)


# ---------------------------------------------------------------- one fit of every kind
def model_of(frame, designs, *, held=1.0, entry=None, weights=None, interval=False):
    """The reference's view of the same data; `designs` maps a block to its columns, "0" first for no intercept."""
    spelled = {
        block: design(frame, *(name for name in names if name != "0"), intercept="0" not in names)
        for block, names in designs.items()
    }
    column = {name: frame[name].to_numpy(float) for name in frame.columns if frame[name].dtype.kind in "if"}
    ends = ("lower", "upper") if interval else ("time", "event")
    data = {name: column[name] for name in ends}
    return Model(spelled, kappa=held, entry=column.get(entry), weights=column.get(weights), **data)


# name: (data, blocks as the method wants them, how it is fitted, designs of the reference, its fixed kappa)
AFT = {"phi": "trt + age", "gamma": "trt", "lam": None, "kappa": "1"}
PH = {"lam": "trt + age", "gamma": "trt", "phi": None, "kappa": "1"}
AFT_DESIGN = {"phi": ("trt", "age"), "gamma": ("trt",), "kappa": ()}
PH_DESIGN = {"lam": ("trt", "age"), "gamma": ("trt",), "kappa": ()}


def without(blocks, name="kappa"):
    return {key: value for key, value in blocks.items() if key != name}


KINDS = {
    "AFT, censored": (lambda: censored(400, 0.5, 1), AFT, {}, AFT_DESIGN, 1.0),
    "AFT, log-logistic truth": (lambda: censored(500, 0.0, 2), AFT, {}, AFT_DESIGN, 1.0),
    "AFT, cured": (lambda: censored(500, -0.4, 3), AFT, {}, AFT_DESIGN, 1.0),
    "PH, censored": (lambda: censored(500, 2.0, 4, "lam"), PH, {}, PH_DESIGN, 1.0),
    "PH, cured": (lambda: censored(500, -0.4, 5, "lam"), PH, {}, PH_DESIGN, 1.0),
    "kappa held at 0": (lambda: censored(400, 0.5, 6), {**AFT, "kappa": 0}, {}, without(AFT_DESIGN), 0.0),
    "kappa held at 1": (lambda: censored(400, 0.5, 7), {**AFT, "kappa": 1}, {}, without(AFT_DESIGN), 1.0),
    "kappa held at -0.4": (
        lambda: censored(400, -0.4, 8),
        {**AFT, "kappa": -0.4},
        {},
        without(AFT_DESIGN),
        -0.4,
    ),
    "kappa held at 3": (
        lambda: censored(400, 2.0, 9, "lam"),
        {**PH, "kappa": 3.0},
        {},
        without(PH_DESIGN),
        3.0,
    ),
    "kappa held at inf": (
        lambda: censored(400, INF, 10, "lam"),
        {**PH, "phi": "1", "kappa": INF},
        {},
        {**without(PH_DESIGN), "phi": ()},
        INF,
    ),
    "kappa by arm": (
        lambda: censored(600, 0.5, 11),
        {"phi": "trt", "gamma": "1", "lam": None, "kappa": "trt"},
        {},
        {"phi": ("trt",), "gamma": (), "kappa": ("trt",)},
        1.0,
    ),
    "gamma held": (
        lambda: censored(400, 1.0, 12),
        {"phi": "trt", "gamma": None, "lam": None, "kappa": "1"},
        {},
        {"phi": ("trt",), "kappa": ()},
        1.0,
    ),
    "lam without intercept": (
        lambda: censored(600, -0.4, 13),
        {"phi": "trt", "gamma": "1", "lam": "0 + trt", "kappa": "1"},
        {},
        {"phi": ("trt",), "gamma": (), "lam": ("0", "trt"), "kappa": ()},
        1.0,
    ),
    "left truncated": (lambda: truncated(500, 0.5, 14), AFT, {"entry": "entry"}, AFT_DESIGN, 1.0),
    "weighted": (lambda: censored(500, 0.5, 15), AFT, {"weights": "w"}, AFT_DESIGN, 1.0),
    "PH, truncated and weighted": (
        lambda: truncated(500, 2.0, 16, "lam"),
        PH,
        {"entry": "entry", "weights": "w"},
        PH_DESIGN,
        1.0,
    ),
    "interval censored": (lambda: visited(500, 0.5, 17), AFT, {"interval": True}, AFT_DESIGN, 1.0),
    "interval censored, weighted, Burr": (
        lambda: visited(400, 0.0, 18),
        {**AFT, "kappa": 0},
        {"interval": True, "weights": "w"},
        without(AFT_DESIGN),
        0.0,
    ),
}


@functools.cache
def fits(kind):
    """Data, fitted model and reference of one kind; fitted when first asked for."""
    data, blocks, how, designs, held = KINDS[kind]
    frame = data()
    return frame, fit(frame, **blocks, **how), model_of(frame, designs, held=held, **how)
