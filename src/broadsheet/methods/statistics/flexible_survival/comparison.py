"""Which model? Likelihood ratios, the paper's family of models side by side, and a stepwise search."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2

from broadsheet.methods.statistics.flexible_survival.observations import FitWarning
from broadsheet.methods.statistics.flexible_survival.regression import APGWRegressor

__all__ = ["LikelihoodRatio", "StepwiseResult", "compare_models", "likelihood_ratio_test", "stepwise"]

Outcome = dict[str, Any]
CRITERIA = ("AIC", "BIC")


@dataclass(frozen=True)
class LikelihoodRatio:
    """The likelihood-ratio test of a model against a smaller one within it.

    Attributes:
        statistic: Twice the gain in log-likelihood.
        df: Number of coefficients more.
        p_value: From the chi-squared distribution.
    """

    statistic: float
    df: int
    p_value: float


def likelihood_ratio_test(smaller: APGWRegressor, larger: APGWRegressor) -> LikelihoodRatio:
    """Test a fitted model against a smaller one that it contains.

    Args:
        smaller: The model with fewer coefficients.
        larger: A model that contains it, fitted to the same rows. That it contains it is not checked.

    Returns:
        Statistic, degrees of freedom and p value.

    Raises:
        ValueError: if the models were fitted to other rows, one has no regular maximum, or the larger does not
            have more coefficients and at least the other's likelihood.

    Example:
        >>> from broadsheet.methods.statistics import simulate_mpr
        >>> df = simulate_mpr(200, phi={"trt": 0.7}, kappa=1, seed=2)
        >>> small, large = (APGWRegressor(phi=f, kappa=1).fit(df, "time", "event") for f in ("1", "trt"))
        >>> likelihood_ratio_test(small, large).df
        1
    """
    one, other = smaller._likelihood.seen, larger._likelihood.seen
    if one.n != other.n or not np.array_equal(one.lower, other.lower):
        raise ValueError(f"both models must be fitted to the same rows, got {one.n} and {other.n}")
    for name, model in (("smaller", smaller), ("larger", larger)):
        if not model.is_regular_:
            raise ValueError(
                f"the {name} model has no regular maximum (its fit warned why): likelihood ratios mean nothing there"
            )
    df = len(larger.params_) - len(smaller.params_)
    if df < 1:
        raise ValueError(
            "the larger model must have more coefficients, "
            f"got {len(smaller.params_)} and {len(larger.params_)}"
        )
    gain = larger.log_likelihood_ - smaller.log_likelihood_
    if gain < -1e-6:
        raise ValueError(
            f"the larger model must contain the smaller, but its log-likelihood is lower by {-gain:.3g}"
        )
    statistic = max(0.0, 2.0 * gain)
    return LikelihoodRatio(statistic, df, float(chi2.sf(statistic, df)))


def compare_models(
    df: pd.DataFrame,
    duration_col: Hashable,
    event_col: Hashable | None = None,
    covariates: str = ".",
    *,
    kappa: str | float = "1",
    phi: float = 1.0,
    entry_col: Hashable | None = None,
    weights_col: Hashable | None = None,
    return_models: bool = False,
) -> Any:
    """Fit the paper's models and the classical ones within them, and rank them.

    The names follow the paper: beta stands for covariates on lam, tau on phi, alpha on gamma. ``M(tau, alpha)``
    and ``M(beta, alpha)`` are the two it advises.

    Args:
        df: Table with outcome and covariates.
        duration_col: Column of times.
        event_col: Column of events.
        covariates: Formula of the covariates, the same in every block they stand in.
        kappa: Family shape of the five models: a formula, or a number at which it is held.
        phi: Where phi is held in ``M(beta)`` and ``M(beta, alpha)``, per unit of time: those two models
            depend on the unit (see :class:`APGWRegressor`).
        entry_col: Column of entry times.
        weights_col: Column of weights.
        return_models: Also return the fitted models.

    Returns:
        A table sorted by AIC: ``phi``, ``gamma``, ``lam`` and ``kappa`` as given, ``kappa_hat``,
        ``coefficients``, ``log_likelihood``, ``AIC``, ``BIC`` and ``note``. A model whose likelihood has no
        regular maximum keeps its log-likelihood, gets no AIC and BIC, and the note says why. With
        ``return_models`` a pair of the table and a dict of models by name.

    Raises:
        ValueError: as :meth:`APGWRegressor.fit`.

    Example:
        >>> from broadsheet.methods.statistics import simulate_mpr
        >>> df = simulate_mpr(300, phi={"trt": 0.9}, gamma={"Intercept": 0.5}, kappa=1, seed=3)
        >>> "M(tau)" in compare_models(df, "time", "event", "trt").index
        True
    """
    x = covariates
    candidates: dict[str, dict[str, Any]] = {
        "M(tau)": {"phi": x, "gamma": "1", "lam": None, "kappa": kappa},
        "M(tau, alpha)": {"phi": x, "gamma": x, "lam": None, "kappa": kappa},
        "M(beta)": {"phi": phi, "gamma": "1", "lam": x, "kappa": kappa},
        "M(beta, alpha)": {"phi": phi, "gamma": x, "lam": x, "kappa": kappa},
        "M(beta, tau, alpha)": {"phi": x, "gamma": x, "lam": x, "kappa": kappa},
        "Weibull": {"phi": x, "gamma": "1", "lam": None, "kappa": 1.0},
        "Weibull MPR": {"phi": x, "gamma": x, "lam": None, "kappa": 1.0},
        "log-logistic": {"phi": x, "gamma": "1", "lam": None, "kappa": 0.0},
        "log-logistic MPR": {"phi": x, "gamma": x, "lam": None, "kappa": 0.0},
        "Gompertz PH": {"phi": "1", "gamma": None, "lam": x, "kappa": float("inf")},
    }
    if kappa == 1:
        del candidates["M(beta, tau, alpha)"]  # there lam and phi cannot be told apart
    outcome: Outcome = {
        "duration_col": duration_col,
        "event_col": event_col,
        "entry_col": entry_col,
        "weights_col": weights_col,
    }
    models, rows = {}, {}
    for name, settings in candidates.items():
        model, note = _fit_quietly(settings, df, outcome)
        models[name] = model
        rows[name] = {
            **settings,
            "kappa_hat": model.kappa_,
            "coefficients": len(model.params_),
            "log_likelihood": model.log_likelihood_,
            "AIC": model.AIC_ if model.is_regular_ else np.nan,
            "BIC": model.BIC_ if model.is_regular_ else np.nan,
            "note": note,
        }
    table = pd.DataFrame.from_dict(rows, orient="index").sort_values("AIC", kind="stable")
    table.index.name = "model"
    return (table, models) if return_models else table


def _fit_quietly(settings: dict[str, Any], df: pd.DataFrame, outcome: Outcome) -> tuple[APGWRegressor, str]:
    """Fit a model and return it with what it had to warn of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FitWarning)
        model = APGWRegressor(**settings).fit(df, **outcome)
    for warning in caught:
        if not issubclass(warning.category, FitWarning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return model, "; ".join(str(w.message) for w in caught if issubclass(w.category, FitWarning))


@dataclass(frozen=True)
class StepwiseResult:
    """Where a stepwise search ended and how it went.

    Attributes:
        model: The best model found, fitted.
        path: One row per step: what was changed and the criterion after it.
    """

    model: APGWRegressor
    path: pd.DataFrame


def stepwise(
    df: pd.DataFrame,
    duration_col: Hashable,
    event_col: Hashable | None = None,
    terms: Sequence[str] = (),
    *,
    blocks: Sequence[str] = ("phi", "gamma"),
    kappa: str | float = "1",
    phi: float = 1.0,
    criterion: str = "AIC",
    entry_col: Hashable | None = None,
    weights_col: Hashable | None = None,
    max_steps: int = 100,
) -> StepwiseResult:
    """Search over which terms stand in which parameters, adding or dropping one at a time.

    It starts with intercepts only and takes the change that lowers the criterion most, until none does.
    Standard errors of a model found this way do not know of the search.

    Args:
        df: Table with outcome and covariates.
        duration_col: Column of times.
        event_col: Column of events.
        terms: Candidate terms, e.g. ``["trt", "age", "trt:age"]``; by default every other column.
        blocks: The parameters they may enter: of ``lam``, ``phi``, ``gamma``; the paper advises one scale and
            gamma. A scale that is left out is held.
        kappa: Formula or number.
        phi: Where phi is held if it is not among ``blocks``.
        criterion: ``AIC`` or ``BIC``.
        entry_col: Column of entry times.
        weights_col: Column of weights.
        max_steps: Largest number of steps.

    Returns:
        The best model and the path to it.

    Raises:
        ValueError: if a block, the criterion or a term is not known.

    Example:
        >>> from broadsheet.methods.statistics import simulate_mpr
        >>> df = simulate_mpr(300, phi={"trt": 0.9}, gamma={"Intercept": 0.5}, kappa=1, seed=3)
        >>> stepwise(df, "time", "event", ["trt"], kappa=1, criterion="BIC").model.phi
        '1 + trt'
    """
    unknown = [name for name in blocks if name not in ("lam", "phi", "gamma")]
    if unknown or not blocks:
        raise ValueError(f"blocks must be among lam, phi, gamma, got {tuple(blocks)!r}")
    if criterion not in CRITERIA:
        raise ValueError(f"criterion must be AIC or BIC, got {criterion!r}")
    outcome: Outcome = {
        "duration_col": duration_col,
        "event_col": event_col,
        "entry_col": entry_col,
        "weights_col": weights_col,
    }
    if not terms:
        terms = [str(c) for c in df.columns if c not in set(outcome.values())]
    if not terms:
        raise ValueError("terms must name at least one candidate, got none")

    def fit(chosen: Choice) -> tuple[float, APGWRegressor]:
        settings: dict[str, Any] = {"lam": None, "phi": phi, "gamma": "1", "kappa": kappa}
        for block, inside in chosen:
            settings[block] = " + ".join(["1", *inside])
        model, _ = _fit_quietly(settings, df, outcome)
        # a spike or a singular point is no better model, however high its likelihood
        return (getattr(model, f"{criterion}_") if model.is_regular_ else float("inf")), model

    current: Choice = tuple((block, ()) for block in blocks)
    value, model = fit(current)
    path = [("start", "", "", value)]
    tried = {current}
    for _ in range(max_steps):
        options = [(change, new) for change, new in _neighbours(current, terms) if new not in tried]
        tried.update(new for _, new in options)
        fitted = [(fit(new), change, new) for change, new in options]
        if not fitted:
            break
        (best_value, best), change, new = min(fitted, key=lambda item: item[0][0])
        if not best_value < value - 1e-8:
            break
        value, model, current = best_value, best, new
        path.append((*change, value))
    return StepwiseResult(model, pd.DataFrame(path, columns=["change", "block", "term", criterion]))


Choice = tuple[tuple[str, tuple[str, ...]], ...]  # each block with the terms inside it, in their order


def _neighbours(current: Choice, terms: Sequence[str]) -> Iterator[tuple[tuple[str, str, str], Choice]]:
    """Yield every change of one term in one block."""
    for position, (block, inside) in enumerate(current):
        for term in terms:
            there = set(inside) ^ {term}
            new = tuple(t for t in terms if t in there)
            change = ("drop" if term in inside else "add", block, term)
            yield change, (*current[:position], (block, new), *current[position + 1 :])
