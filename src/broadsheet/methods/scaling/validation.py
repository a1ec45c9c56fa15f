"""How well a law holds: extrapolation to held-out scales, and an information criterion."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd
from scipy import special

from broadsheet.methods.scaling.objective import OVER
from broadsheet.methods.scaling.reading import read_rows
from broadsheet.methods.scaling.runs import RunTable

if TYPE_CHECKING:
    from broadsheet.methods.scaling.law import Law

__all__ = ["aicc", "cross_validate"]


def cross_validate(
    law: Law,
    runs: pd.DataFrame | RunTable | None,
    *,
    by: str,
    largest: int,
    above: float | None,
    interval: float | None,
    **settings: Any,
) -> pd.DataFrame:
    """Fit the small runs and predict the large ones: see :meth:`Law.cross_validate`."""
    if runs is None:
        law._check_has_runs()
        runs, settings = law.runs_, {"weights": law.rows_.weights, **settings}
    rows = read_rows(
        law,
        runs,
        None,
        columns=settings.get("columns"),
        weights=settings.get("weights"),
        loss_unit=settings.get("loss_unit", "nats"),
    )
    frame = rows.frame.reset_index(names="row")
    if rows.weights is not None:
        frame = frame.assign(**{"fit weight": rows.weights})
    table = object.__new__(RunTable)
    table.df, table.derived, table.N_convention = frame, (), ""
    if above is None:
        small, large = table.holdout(by, largest=largest)
    else:
        small, large = table.holdout(by, above=above)
    fitted = law._unfitted()
    fitted.fit(small.df, weights="fit weight" if rows.weights is not None else None)
    held = large.df.set_index("row")
    predicted = fitted.predict(held, interval=interval)
    out = pd.DataFrame({by: held[by], "observed": held[law.target]})
    if interval is None:
        out["predicted"] = predicted
    else:
        out["predicted"] = predicted[law.target]
        out[["lower", "upper"]] = predicted[["lower", "upper"]]
    out["error"] = out["predicted"] / out["observed"] - 1.0
    out.attrs["mean_absolute_error"] = float(out["error"].abs().mean())
    out.attrs["bias"] = float(out["error"].mean())
    out.attrs["params"] = dict(fitted.params_)
    return out


def aicc(law: Law) -> float:
    """Return ``2 k - 2 log L + 2 k (k + 1) / (n - k - 1)``, k counting the scale of the residuals too.

    L is the likelihood under the density ``exp(-loss / t) / Z(t)``, t at its maximum: normal for ``mse``,
    Laplace's for ``mae``, Huber's for ``huber``. Infinite if there are too few rows for the correction.
    """
    n, k = len(law.rows_.y), int(law._free().sum()) + 1
    total = max(law.objective_, 1e-300)
    if n - k - 1 <= 0:
        return math.inf
    minus_two = 2.0 * _least(lambda t: total / t + n * _log_normaliser(law, t), total / n)
    return minus_two + 2.0 * k + 2.0 * k * (k + 1) / (n - k - 1)


def _least(function: Any, around: float) -> float:
    from scipy import optimize

    found = optimize.minimize_scalar(
        lambda s: function(math.exp(s)), bracket=(math.log(around) - 1.0, math.log(around) + 1.0)
    )
    return float(found.fun)


def _log_normaliser(law: Law, t: float) -> float:
    if law.loss == "mse":
        return 0.5 * math.log(2.0 * math.pi * t)
    if law.loss == "mae":
        return math.log(2.0 * t)
    if law.loss == "asymmetric":
        return math.log(t * (1.0 + 1.0 / OVER))
    d = law.delta
    inner = math.sqrt(2.0 * math.pi * t) * float(special.erf(d / math.sqrt(2.0 * t)))
    return math.log(inner + 2.0 * t / d * math.exp(-d * d / (2.0 * t)))
