"""What a recipe would reach without end: the asymptote of its losses, with an interval that owns up to few points.

Losses are fitted by plain least squares on their own scale, as the authors do. For a given exponent both forms are
linear in their other two parameters, so that only the exponent is searched: the fit needs no starting values and
cannot stop at a false minimum.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from broadsheet.methods.scaling.identification import ScalingWarning

__all__ = [
    "Asymptote",
    "AsymptoteWarning",
    "DataEfficiency",
    "JointAsymptote",
    "data_efficiency",
    "fit_asymptote",
    "joint_asymptote",
]

Form = Literal["power", "reciprocal"]
EXPONENTS = (1e-3, 20.0)
"""Exponents that are searched. Beyond, the curve is a straight line in log x, or a single step."""


class AsymptoteWarning(ScalingWarning):
    """The losses do not fall towards an asymptote, or too few tell where it lies."""


@dataclass(frozen=True)
class Asymptote:
    """A fitted curve ``A / x^alpha + E`` and what is known of its asymptote.

    Args:
        A: Scale, in nats at x = 1.
        alpha: Exponent; 1 and not fitted for the reciprocal form.
        E: The asymptote: the loss at infinite x, nats per token.
        low: Lower end of the interval of ``E``; minus infinity where the data set no bound, NaN without interval.
        high: Upper end, likewise.
        level: Level of that interval.
        form: ``power`` or ``reciprocal``.
        freedom: Degrees of freedom that are left: points minus parameters.
        r2: Share of the losses' variance that the curve explains.
        reason: Why there is no interval, or why it should not be trusted; empty otherwise.
        x: The fitted points.
        loss: Their losses.
    """

    A: float
    alpha: float
    E: float
    low: float
    high: float
    level: float
    form: Form
    freedom: int
    r2: float
    reason: str = ""
    x: tuple[float, ...] = field(default=(), repr=False)
    loss: tuple[float, ...] = field(default=(), repr=False)

    @property
    def params_(self) -> dict[str, float]:
        """The parameters by name."""
        return {"A": self.A, "alpha": self.alpha, "E": self.E}

    def predict(self, x: ArrayLike) -> np.ndarray:
        """Return the curve at ``x`` > 0, infinity allowed."""
        return np.asarray(self.A * np.asarray(x, float) ** -self.alpha + self.E)

    def __str__(self) -> str:
        power = "" if self.form == "reciprocal" else f"^{self.alpha:.2f}"
        return f"{self.A:.3g}/x{power} + {self.E:.3f}"


def fit_asymptote(
    x: ArrayLike,
    loss: ArrayLike,
    form: Form = "power",
    *,
    level: float = 0.95,
) -> Asymptote:
    """Fit ``A / x^alpha + E`` to losses by least squares and bound the asymptote.

    The interval is the profile one: all ``E`` at which the best curve fits not significantly worse (F test). With
    four points and three parameters a single degree of freedom is left, and the interval says so.

    Args:
        x: Sizes, members or tokens, > 0, in a unit in which ``A`` is to be read (billions for published laws).
        loss: Losses, nats per token.
        form: ``power``; or ``reciprocal``, which holds the exponent at 1.
        level: Level of the interval, in (0, 1).

    Returns:
        The fitted curve. With no degree of freedom it has no interval, and ``reason`` says why.

    Raises:
        ValueError: if there are fewer points than parameters, or a value is not finite or not positive.

    Warns:
        AsymptoteWarning: if the losses rise somewhere, or do not fall at all: the asymptote then means nothing.

    Example:
        >>> curve = fit_asymptote([1, 2, 4, 8, 16], [4.0, 3.5, 3.25, 3.125, 3.0625])
        >>> round(curve.E, 3), round(curve.alpha, 3)
        (3.0, 1.0)

    Source:
        Sections on parameter scaling (power form) and ensembles (reciprocal, or a free exponent).
    """
    x, loss = _checked(x, loss, form, level)
    order = np.argsort(x, kind="stable")
    reasons = _not_falling(x[order], loss[order])
    alpha = 1.0 if form == "reciprocal" else _best_exponent(x, loss)
    A, E, rss = (float(value[0]) for value in _linear(x, loss, np.array([alpha])))
    if A <= 0:
        reasons.append("the losses rise on the whole")
    freedom = len(x) - (2 if form == "reciprocal" else 3)
    low = high = math.nan
    if freedom < 1:
        reasons.append(
            f"{len(x)} points leave no degree of freedom for an interval of a curve of {len(x)} parameters: "
            f"measure at {len(x) + 1} or more"
        )
    else:
        low, high = _interval(x, loss, form, rss, E, freedom, level)
    spread = float(((loss - loss.mean()) ** 2).sum())
    r2 = 1.0 - rss / spread if spread > 0 else 0.0
    if told := [r for r in reasons if "rise" in r]:
        warnings.warn(f"{told[0]}: the asymptote {E:.4g} means nothing", AsymptoteWarning, stacklevel=2)
    return Asymptote(
        A,
        alpha,
        E,
        low,
        high,
        level,
        form,
        freedom,
        r2,
        "; ".join(reasons),
        tuple(x.tolist()),
        tuple(loss.tolist()),
    )


def _checked(x: ArrayLike, loss: ArrayLike, form: str, level: float) -> tuple[np.ndarray, np.ndarray]:
    if form not in ("power", "reciprocal"):
        raise ValueError(f"form must be 'power' or 'reciprocal', got {form!r}")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, got {level!r}")
    xs, losses = np.asarray(x, float).ravel(), np.asarray(loss, float).ravel()
    if xs.shape != losses.shape:
        raise ValueError(f"x and loss must have the same length, got {len(xs)} and {len(losses)}")
    for name, values, good in (
        ("x", xs, np.isfinite(xs) & (xs > 0)),
        ("loss", losses, np.isfinite(losses)),
    ):
        if not good.all():
            row = int(np.flatnonzero(~good)[0])
            need = "finite and > 0" if name == "x" else "finite"
            raise ValueError(f"{name} must be {need}, got {values[row]:g} at position {row}")
    least = 2 if form == "reciprocal" else 3
    if len(np.unique(xs)) < least:
        raise ValueError(
            f"x must hold at least {least} different values for the {form} form, which has {least} parameters, "
            f"got {len(np.unique(xs))}"
        )
    return xs, losses


def _not_falling(x: np.ndarray, loss: np.ndarray) -> list[str]:
    worse = np.flatnonzero((np.diff(loss) > 0) & (np.diff(x) > 0))
    if not len(worse):
        return []
    i = int(worse[0])
    return [f"the losses rise from {loss[i]:.4g} at {x[i]:g} to {loss[i + 1]:.4g} at {x[i + 1]:g}"]


def _linear(x: np.ndarray, loss: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the best A and E and the residual sum of squares for each exponent."""
    # In units of the smallest x: no power overflows.
    scale = x.min()
    z = (x / scale) ** -alpha[:, None]
    centred = z - z.mean(1, keepdims=True)
    slope = (centred @ (loss - loss.mean())) / (centred**2).sum(1)
    E = loss.mean() - slope * z.mean(1)
    rss = ((loss - E[:, None] - slope[:, None] * z) ** 2).sum(1)
    return slope * scale**alpha, E, rss


def _best_exponent(x: np.ndarray, loss: np.ndarray) -> float:
    from scipy.optimize import minimize_scalar

    grid = np.geomspace(*EXPONENTS, 400)
    rss = _linear(x, loss, grid)[2]
    i = int(np.argmin(rss))
    between = np.log(grid[[max(i - 1, 0), min(i + 1, len(grid) - 1)]])
    found = minimize_scalar(
        lambda log_alpha: float(_linear(x, loss, np.exp([log_alpha]))[2][0]),
        bounds=tuple(between),
        method="bounded",
        options={"xatol": 1e-12},
    )
    return float(np.exp(found.x)) if found.fun <= rss[i] else float(grid[i])


def _given_E(x: np.ndarray, loss: np.ndarray, form: Form, E: np.ndarray) -> np.ndarray:
    """Return the least residual sum of squares for each asymptote."""
    rest = loss - E[:, None]  # (m, n)
    if form == "reciprocal":
        return _rest_squares(x, rest, np.ones((len(E), 1)))[:, 0]
    grid = np.broadcast_to(np.log(np.geomspace(*EXPONENTS, 400)), (len(E), 400))
    for _ in range(4):  # each round looks closer at the two neighbours of the best exponent
        squares = _rest_squares(x, rest, np.exp(grid))
        at = np.argmin(squares, axis=1)[:, None]
        low = np.take_along_axis(grid, np.maximum(at - 1, 0), 1)
        high = np.take_along_axis(grid, np.minimum(at + 1, grid.shape[1] - 1), 1)
        grid = low + (high - low) * np.linspace(0.0, 1.0, 41)
    return np.asarray(_rest_squares(x, rest, np.exp(grid)).min(1))


def _rest_squares(x: np.ndarray, rest: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return (m, k) sums of squares left of (m, n) losses above an asymptote, for (m, k) exponents and the best A."""
    z = (x / x.min()) ** -alpha[:, :, None]  # (m, k, n)
    slope = np.maximum((z @ rest[:, :, None])[..., 0], 0.0) / (z**2).sum(2)
    return np.asarray(((rest[:, None, :] - slope[:, :, None] * z) ** 2).sum(2))


def _interval(
    x: np.ndarray, loss: np.ndarray, form: Form, rss: float, E: float, freedom: int, level: float
) -> tuple[float, float]:
    from scipy import stats
    from scipy.optimize import brentq

    ends = []
    floor = rss + 1e-14 * float((loss**2).sum())  # a perfect fit leaves rounding alone
    bound = floor * (1.0 + float(stats.f.ppf(level, 1, freedom)) / freedom)
    span = max(float(np.ptp(loss)), 1e-9)
    for sign in (-1.0, 1.0):

        def excess(log_distance: float, sign: float = sign) -> float:
            at = np.array([E + sign * math.exp(log_distance)])
            return float(_given_E(x, loss, form, at)[0]) - bound

        distance = np.log(span * np.geomspace(1e-7, 1e4, 100))
        worse = np.array([excess(d) for d in distance]) > 0
        first = int(np.argmax(worse))
        if not worse.any():
            ends.append(sign * math.inf)
        elif first == 0:
            ends.append(E + sign * math.exp(distance[0]))
        else:
            ends.append(E + sign * math.exp(brentq(excess, distance[first - 1], distance[first], xtol=1e-10)))
    return ends[0], ends[1]


@dataclass(frozen=True)
class JointAsymptote:
    """The loss with infinitely many members of infinite size.

    Args:
        E: That loss, nats per token.
        by_size: One row per size: ``N``, the asymptote ``E`` over members, its ``low`` and ``high``.
        curve: The curve through those asymptotes over N.
    """

    E: float
    by_size: pd.DataFrame
    curve: Asymptote


def joint_asymptote(
    table: pd.DataFrame, *, members: Form = "power", sizes: Form = "power", level: float = 0.95
) -> JointAsymptote:
    """Take members to infinity for each size, then size to infinity.

    Args:
        table: One row per size and number of members: columns ``N``, ``K``, ``loss``. Without ``K`` the losses
            are taken as asymptotes over members already.
        members: Form of the curves over K.
        sizes: Form of the curve over N.
        level: Level of the intervals.

    Returns:
        The joint limit with both fits.

    Raises:
        ValueError: if a column is missing or a fit has too few points.

    Example:
        >>> table = pd.DataFrame([(n, k, 3 + 0.1 / n + 0.2 / k) for n in (1, 2, 4) for k in (1, 2, 3, 4)])
        >>> table.columns = ["N", "K", "loss"]
        >>> round(joint_asymptote(table, members="reciprocal").E, 3)
        3.0

    Source:
        Section on composing ensembles with parameter scaling.
    """
    missing = [name for name in ("N", "loss") if name not in table.columns]
    if missing:
        raise ValueError(f"table must have the columns N, K and loss, got {list(table.columns)}")
    rows = []
    for size, group in table.groupby("N", sort=True):
        if "K" in table.columns:
            over = fit_asymptote(group["K"], group["loss"], members, level=level)
            rows.append((float(size), over.E, over.low, over.high))  # type: ignore[arg-type]
        elif len(group) == 1:
            rows.append((float(size), float(group["loss"].iloc[0]), math.nan, math.nan))  # type: ignore[arg-type]
        else:
            raise ValueError(f"table has {len(group)} rows for N = {size} and no column K to tell them apart")
    by_size = pd.DataFrame(rows, columns=["N", "E", "low", "high"])
    curve = fit_asymptote(by_size["N"], by_size["E"], sizes, level=level)
    return JointAsymptote(curve.E, by_size, curve)


@dataclass(frozen=True)
class DataEfficiency:
    """How much data the baseline would need for a loss, over the data that were there.

    Args:
        ratio: Times as much data; infinity where no amount suffices.
        tokens: Tokens that the baseline needs, in the unit of ``D``.
        reason: Why the ratio is infinite; empty otherwise.
    """

    ratio: float
    tokens: float
    reason: str = ""

    def __float__(self) -> float:
        return self.ratio


def data_efficiency(baseline_law: object, loss: float, D: float) -> DataEfficiency:
    """Return how many times as many tokens the baseline needs to reach a loss.

    Args:
        baseline_law: Law of the baseline's loss in tokens, ``A / D^alpha + E``: an :class:`Asymptote`, a fitted
            ``PowerLaw``, or a mapping with ``A``, ``alpha`` and ``E``.
        loss: The loss reached with ``D`` tokens, nats per token.
        D: Tokens, > 0, in the unit of the law.

    Returns:
        The ratio, with the tokens behind it.

    Raises:
        ValueError: if a parameter is missing or out of range, or ``D`` is not positive.

    Example:
        >>> data_efficiency({"A": 1.0, "alpha": 0.5, "E": 2.0}, loss=2.5, D=2.0).ratio
        2.0

    Source:
        Section on data scaling: ``(A / (loss - E))^(1/alpha) / D``.
    """
    params = baseline_law if isinstance(baseline_law, Mapping) else getattr(baseline_law, "params_", {})
    missing = [name for name in ("A", "alpha", "E") if name not in params]
    if missing:
        raise ValueError(f"baseline_law must give A, alpha and E, got no {', '.join(missing)}")
    A, alpha, E = (float(params[name]) for name in ("A", "alpha", "E"))
    for name, value in (("A", A), ("alpha", alpha), ("D", float(D))):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be finite and > 0, got {value!r}")
    if not math.isfinite(loss):
        raise ValueError(f"loss must be finite, got {loss!r}")
    if loss <= E:
        reason = (
            f"the loss {loss:g} lies at or below the baseline's asymptote {E:g}: no amount of data reaches it"
        )
        return DataEfficiency(math.inf, math.inf, reason)
    tokens = (A / (loss - E)) ** (1.0 / alpha)
    return DataEfficiency(tokens / D, tokens)
