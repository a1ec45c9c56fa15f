"""A fitted model in words and tables: coefficients, what each effect means, shapes, cure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import norm

from broadsheet.methods.statistics.flexible_survival.prediction import lifetimes

if TYPE_CHECKING:
    from broadsheet.methods.statistics.flexible_survival.regression import APGWRegressor

__all__ = ["coefficient_table", "text"]

LINKS = {"lam": "log lam", "phi": "log phi", "gamma": "log gamma", "kappa": "log(kappa + 1)"}
MOST_GROUPS = 8


def coefficient_table(model: APGWRegressor) -> pd.DataFrame:
    """Return coefficients, standard errors, intervals, z and p.

    Args:
        model: A fitted model.

    Returns:
        Table indexed by ``(param, covariate)``. There is no column of exponentiated coefficients: what one
        means depends on the other parameters (see :func:`effects`).
    """
    coef, se = model.params_, model.standard_errors_
    z = norm.isf(model.alpha / 2)
    level = f"{100 * (1 - model.alpha):g}%"
    with np.errstate(divide="ignore", invalid="ignore"):
        score = coef / se
    table = {
        "coef": coef,
        "se(coef)": se,
        f"coef lower {level}": coef - z * se,
        f"coef upper {level}": coef + z * se,
        "z": score,
        "p": 2.0 * norm.sf(np.abs(score)),
    }
    return pd.DataFrame(table)


def effects(model: APGWRegressor) -> pd.DataFrame:
    """Return the effects that one number can tell: those of covariates on one scale and nothing else.

    Args:
        model: A fitted model.

    Returns:
        Table indexed by covariate with ``meaning`` (``time ratio`` for phi, ``hazard ratio`` for lam),
        ``value``, ``lower`` and ``upper``; the last three are NaN, and the meaning says so, where the effect
        changes with time because the covariate also stands in another parameter, or with another covariate.
    """
    rows: list[tuple[str, str, float, float, float]] = []
    z = norm.isf(model.alpha / 2)
    terms = [(p, name, _variables(model, name)) for p, name in model.params_.index]
    for parameter, meaning, sign in (("phi", "time ratio", -1.0), ("lam", "hazard ratio", 1.0)):
        for name, mine in [(c, v) for p, c, v in terms if p == parameter and v]:
            if any(p != parameter and mine & v for p, _, v in terms):
                if not any(row[0] == name for row in rows):
                    rows.append((name, "changes with time: predict_hazard_ratio", np.nan, np.nan, np.nan))
            elif any(p == parameter and mine != v and mine & v for p, _, v in terms):
                rows.append((name, "changes with another covariate", np.nan, np.nan, np.nan))
            else:
                middle, se = sign * model.params_[parameter, name], model.standard_errors_[parameter, name]
                with np.errstate(over="ignore"):
                    value, low, high = np.exp([middle, middle - z * se, middle + z * se])
                rows.append((name, meaning, value, low, high))
    table = pd.DataFrame(rows, columns=["covariate", "meaning", "value", "lower", "upper"])
    return table.set_index("covariate")


def _variables(model: APGWRegressor, term: str) -> frozenset[str]:
    """Return the columns of the table that a term is made of: ``np.log(age):trt`` has age and trt."""
    return frozenset(re.findall(r"\w+", term)) & frozenset(model._typical)


def shapes(model: APGWRegressor) -> pd.DataFrame:
    """Return the hazard's shape, its turning point and the cure fraction for each kind of row.

    Args:
        model: A fitted model.

    Returns:
        Table of ``share`` of the rows of the fit, ``gamma``, ``kappa``, ``hazard`` and, where they apply to
        one value, ``turns_at`` and ``cured`` (their medians over the rows), one line per distinct gamma and
        kappa if there are at most eight, else one per shape.
    """
    lifetime = lifetimes(model._likelihood.rows, model._theta)
    rows = pd.DataFrame(
        {
            "gamma": lifetime.gamma,
            "kappa": lifetime.kappa,
            "hazard": lifetime.hazard_shape(),
            "turns_at": lifetime.turning_point(),
            "cured": lifetime.cure_fraction(),
            "share": model._likelihood.seen.weights / model._likelihood.seen.weights.sum(),
        }
    )
    keys = ["gamma", "kappa", "hazard"]
    rounded = rows.round({"gamma": 10, "kappa": 10})
    by = keys if len(rounded[keys].drop_duplicates()) <= MOST_GROUPS else ["hazard"]
    how = {"share": "sum", "gamma": "median", "kappa": "median", "turns_at": "median", "cured": "median"}
    grouped = rounded.groupby(by, as_index=False).agg({k: v for k, v in how.items() if k not in by})
    return grouped[["share", "gamma", "kappa", "hazard", "turns_at", "cured"]]


def text(model: APGWRegressor, decimals: int = 3) -> str:
    """Return the summary of a fitted model as text.

    Args:
        model: A fitted model.
        decimals: Digits after the point.

    Returns:
        Several lines.
    """
    seen, k = model._likelihood.seen, len(model.params_)
    settings = ", ".join(f"{name}={getattr(model, name)!r}" for name in ("phi", "gamma", "lam", "kappa"))
    lines = [
        f"APGW regression: {settings}",
        f"  {seen.n} rows, {model.n_events_:g} events, {k} coefficients"
        + ("" if model.converged_ else "; the search did not converge"),
        f"  log-likelihood {model.log_likelihood_:.{decimals}f}   AIC {model.AIC_:.{decimals}f}   "
        f"BIC {model.BIC_:.{decimals}f} (with the log of the number of events)",
        "",
        _numbers(model.summary, decimals),
    ]
    told = effects(model)
    if len(told):
        lines += ["", "Effects of one unit more", _numbers(told, decimals)]
    lines += ["", "Shape of the hazard (share of rows, median over them)", _numbers(shapes(model), decimals)]
    lines += ["", *_notes(model)]
    return "\n".join(lines).rstrip()


def _notes(model: APGWRegressor) -> list[str]:
    """Return the sentences without which the numbers would mislead."""
    notes = []
    if not isinstance(model.phi, str) and model.kappa != 1:
        held = 1.0 if model.phi is None else float(model.phi)
        notes.append(
            f"phi is held at {held:g} per unit of {model._likelihood.seen.name}: unless kappa is 1 this model "
            "depends on the unit of time. In another unit, multiply phi by the number of old units in a new one."
        )
    if isinstance(model.lam, str) and isinstance(model.phi, str):
        notes.append(
            "Both scales are free: lam and phi are hard to tell apart near kappa = 1, so their standard errors "
            "are large by design."
        )
    return notes


def _numbers(table: pd.DataFrame, decimals: int) -> str:
    def show(value: float) -> str:
        return "" if np.isnan(value) else f"{value:.{decimals}f}"

    if "p" in table:
        table = table.assign(p=[f"{p:.2g}" if p >= 1e-4 else "<1e-4" if p < 1e-4 else "" for p in table["p"]])
    shown = table.to_string(float_format=show, na_rep="", index=not isinstance(table.index, pd.RangeIndex))
    return str(shown)
