"""The four-parameter lifetime distribution: :class:`APGW`, after ``scipy.stats.rv_continuous``."""

from __future__ import annotations

from typing import Any

import numpy as np

from broadsheet.methods.statistics.flexible_survival.hazard import Floats, baseline, inverse_baseline

__all__ = ["APGW"]

SHAPES = ("constant", "increasing", "decreasing", "up then down", "down then up")


class APGW:
    """Hold the adapted power generalised Weibull distribution.

    Its cumulative hazard is ``H(t) = lam * (k1 / kappa) * ((1 + x / k1)^kappa - 1)`` with
    ``x = (phi t)^gamma`` and ``k1 = kappa + 1``. It contains Weibull (``kappa=1``), Burr XII (``kappa=0``;
    log-logistic where ``lam=1`` too), Gompertz (``kappa=inf``, ``gamma=1``) and, for ``kappa < 0``,
    distributions of which a share ``exp(lam k1 / kappa)`` never fails (cure models).

    Args:
        lam: Proportional-hazards scale, > 0; multiplies the hazard.
        phi: Time scale, > 0, per unit of time; multiplies time.
        gamma: Power shape, > 0.
        kappa: Family shape, > -1; ``inf`` is allowed and exact. The four broadcast against each other
            and against the times given to the methods.

    Raises:
        ValueError: if a parameter is outside its range, or the shapes do not broadcast.

    Source:
        arXiv:1901.03212: the distribution, its special cases and the shapes of its hazard.

    Example:
        >>> lifetime = APGW(lam=1, phi=0.6, gamma=1.7, kappa=0)  # log-logistic
        >>> float(lifetime.median().round(4))
        1.6667
        >>> str(lifetime.hazard_shape())
        'up then down'
    """

    def __init__(self, lam: Any = 1.0, phi: Any = 1.0, gamma: Any = 1.0, kappa: Any = 1.0) -> None:
        given = {"lam": lam, "phi": phi, "gamma": gamma, "kappa": kappa}
        arrays = {name: _parameter(name, value) for name, value in given.items()}
        try:
            self.shape = np.broadcast_shapes(*(a.shape for a in arrays.values()))
        except ValueError as error:
            shapes = ", ".join(f"{name} {a.shape}" for name, a in arrays.items())
            raise ValueError(f"the parameters must broadcast against each other, got {shapes}") from error
        self.lam, self.phi, self.gamma, self.kappa = arrays.values()

    def __repr__(self) -> str:
        values = ", ".join(
            f"{name}={_short(getattr(self, name))}" for name in ("lam", "phi", "gamma", "kappa")
        )
        return f"APGW({values})"

    # ---- the functions of time

    def cumhazard(self, t: Any) -> Floats:
        """Return the cumulative hazard ``H(t) = -log S(t)``; 0 before time 0.

        Args:
            t: Times, any shape that broadcasts with the parameters.

        Returns:
            ``H(t)``; NaN where ``t`` is NaN.

        Example:
            >>> float(APGW(lam=2.0).cumhazard(3.0).round(9))
            6.0
        """
        H0, _ = baseline(self._log_x(t), self.kappa)
        with np.errstate(over="ignore"):
            return self.lam * H0

    def log_hazard(self, t: Any) -> Floats:
        """Return the logarithm of the hazard; ``-inf`` before time 0.

        Args:
            t: Times, any shape that broadcasts with the parameters.

        Returns:
            ``log h(t)``. At ``t = 0`` it is ``+inf``, ``log(lam phi)`` or ``-inf`` as ``gamma`` is below,
            at or above 1.

        Example:
            >>> float(APGW(phi=3.0).log_hazard(7.0).round(6))
            1.098612
        """
        t = np.asarray(t, float)
        _, log_slope = baseline(self._log_x(t), self.kappa)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.log(self.lam * self.gamma) + log_slope - np.log(t)
            at_zero = np.where(
                self.gamma < 1, np.inf, np.where(self.gamma > 1, -np.inf, np.log(self.lam * self.phi))
            )
        value = np.where(t == 0.0, at_zero, value)
        return np.where(t < 0.0, -np.inf, value)

    def hazard(self, t: Any) -> Floats:
        """Return the hazard ``h(t)``, failures per unit of time among those still at risk.

        Args:
            t: Times, any shape that broadcasts with the parameters.

        Returns:
            ``h(t)``; 0 before time 0.

        Example:
            >>> float(APGW(phi=3.0).hazard(7.0).round(6))
            3.0
        """
        with np.errstate(over="ignore"):
            return np.exp(self.log_hazard(t))

    def logsf(self, t: Any) -> Floats:
        """Return ``log S(t)``, the logarithm of the survival function.

        Args:
            t: Times, any shape that broadcasts with the parameters.

        Returns:
            ``-H(t)``.

        Example:
            >>> float(APGW().logsf(2.0))
            -2.0
        """
        return -self.cumhazard(t)

    def sf(self, t: Any) -> Floats:
        """Return the survival function ``S(t)``; at infinity it is the cure fraction.

        Args:
            t: Times, any shape that broadcasts with the parameters.

        Returns:
            ``S(t)`` in [0, 1].

        Example:
            >>> float(APGW(kappa=-0.5).sf(np.inf).round(6))
            0.367879
        """
        return np.exp(self.logsf(t))

    def cdf(self, t: Any) -> Floats:
        """Return the distribution function ``1 - S(t)``.

        Args:
            t: Times, any shape that broadcasts with the parameters.

        Returns:
            ``F(t)`` in [0, 1], accurate also where it is tiny.

        Example:
            >>> float(APGW().cdf(1e-20)) == 0.0  # 1 - S would be
            False
        """
        return -np.expm1(-self.cumhazard(t))

    def logpdf(self, t: Any) -> Floats:
        """Return the logarithm of the density; ``-inf`` before time 0.

        Args:
            t: Times, any shape that broadcasts with the parameters.

        Returns:
            ``log f(t) = log h(t) - H(t)``.

        Example:
            >>> float(APGW().logpdf(2.0))
            -2.0
        """
        t = np.asarray(t, float)
        H = self.cumhazard(t)
        with np.errstate(invalid="ignore"):
            value = self.log_hazard(t) - H
        # far in the tail of an increasing hazard this is inf - inf: there the density is 0
        return np.where(np.isposinf(H) | np.isposinf(t), -np.inf, value)

    def pdf(self, t: Any) -> Floats:
        """Return the density ``f(t)``.

        Args:
            t: Times, any shape that broadcasts with the parameters.

        Returns:
            ``f(t) >= 0``; for cure models it integrates to one minus the cure fraction.

        Example:
            >>> float(APGW(phi=2.0).pdf(0.0))
            2.0
        """
        return np.exp(self.logpdf(t))

    # ---- quantiles and draws

    def ppf(self, q: Any) -> Floats:
        """Return the time by which a share ``q`` has failed.

        Args:
            q: Probabilities in [0, 1], any shape that broadcasts with the parameters.

        Returns:
            The quantile; ``inf`` above one minus the cure fraction, NaN outside [0, 1].

        Example:
            >>> APGW(kappa=-0.5).ppf([0.1, 0.9]).round(4).tolist()
            [0.1247, inf]
        """
        q = np.asarray(q, float)
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._time_at(-np.log1p(-q))

    def isf(self, q: Any) -> Floats:
        """Return the time at which the survival function has fallen to ``q``.

        Args:
            q: Probabilities in [0, 1], any shape that broadcasts with the parameters.

        Returns:
            The inverse of :meth:`sf`; ``inf`` below the cure fraction, NaN outside [0, 1].

        Example:
            >>> float(APGW().isf(np.exp(-3.0)).round(9))
            3.0
        """
        q = np.asarray(q, float)
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._time_at(-np.log(q))

    def median(self) -> Floats:
        """Return the median; ``inf`` where half or more never fail.

        Returns:
            One value per distribution.

        Example:
            >>> float(APGW(phi=2.0, kappa=0).median().round(9))
            0.5
        """
        return self.ppf(0.5)

    def rvs(self, size: Any = None, random_state: Any = None) -> Floats:
        """Draw lifetimes; those who never fail get ``inf``.

        Args:
            size: Shape of the draw; None for one per distribution.
            random_state: A seed or a ``numpy.random.Generator``; None draws from fresh entropy.

        Returns:
            Lifetimes of shape ``size``.

        Raises:
            ValueError: if ``size`` does not hold the shape of the parameters.

        Example:
            >>> bool(np.isinf(APGW(kappa=-0.5).rvs(1000, random_state=1)).mean() > 0.3)
            True
        """
        shape = self.shape if size is None else tuple(np.atleast_1d(size).astype(int))
        drawn = np.random.default_rng(random_state).standard_exponential(shape)
        try:
            np.broadcast_to(self.lam * self.phi * self.gamma * self.kappa, shape)
        except ValueError as error:
            raise ValueError(f"size must hold the parameters' shape {self.shape}, got {size!r}") from error
        return self._time_at(drawn)

    # ---- what the parameters say

    def cure_fraction(self) -> Floats:
        """Return the share that never fails: ``exp(lam k1 / kappa)`` for ``kappa < 0``, else 0.

        Returns:
            One value per distribution.

        Example:
            >>> float(APGW(kappa=-0.5).cure_fraction().round(6))
            0.367879
        """
        negative = np.where(self.kappa < 0, self.kappa, -1.0)
        return np.where(self.kappa < 0, np.exp(self.lam * (negative + 1.0) / negative), 0.0)

    def hazard_shape(self) -> Any:
        """Return the shape of the hazard in words.

        Returns:
            ``constant``, ``increasing``, ``decreasing``, ``up then down`` or ``down then up``, one per
            distribution; a ``str`` where there is one.

        Example:
            >>> str(APGW(gamma=0.5, kappa=3.0).hazard_shape())
            'down then up'
        """
        gamma, kappa = np.broadcast_arrays(self.gamma, self.kappa)
        early, late = _signs(gamma, kappa)
        shape = np.select(
            [
                (early == 0) & (late == 0),
                (early >= 0) & (late >= 0),
                (early <= 0) & (late <= 0),
                early > 0,
            ],
            SHAPES[:4],
            SHAPES[4],
        )
        return np.broadcast_to(shape, self.shape)[()]

    def turning_point(self) -> Floats:
        """Return the time at which the hazard turns; NaN where it is monotone.

        Returns:
            ``((gamma - 1) k1 / (1 - gamma kappa))^(1 / gamma) / phi``, one per distribution.

        Example:
            >>> float(APGW(phi=0.7, gamma=2.0, kappa=0.2).turning_point().round(5))
            2.02031
        """
        gamma, kappa, phi = np.broadcast_arrays(self.gamma, self.kappa, self.phi)
        early, late = _signs(gamma, kappa)
        turns = early * late < 0
        with np.errstate(divide="ignore", invalid="ignore"):
            finite = (gamma - 1.0) * (kappa + 1.0) / (1.0 - gamma * kappa)
            x = np.where(np.isinf(kappa), (1.0 - gamma) / gamma, finite)
            t = np.where(turns, x, np.nan) ** (1.0 / gamma) / phi
        return np.broadcast_to(t, self.shape).copy()

    def moment(self, order: float) -> Floats:
        """Return ``E T^order``; ``inf`` where some never fail or the tail is too heavy.

        Args:
            order: The power, > 0.

        Returns:
            One value per distribution, to about nine digits.

        Raises:
            ValueError: if ``order`` is not above 0.

        Example:
            >>> float(APGW(phi=2.0).moment(2).round(9))
            0.5
        """
        if not order > 0:
            raise ValueError(f"order must be > 0, got {order!r}")
        # phi only scales time: rows that share the other three share an integral
        shapes = np.broadcast_arrays(self.lam, self.gamma, self.kappa)
        rows, place = np.unique(np.stack([a.ravel() for a in shapes]), axis=1, return_inverse=True)
        found = np.array([_moment(*row, order=order) for row in rows.T])[place.ravel()]
        out = found.reshape(shapes[0].shape) / self.phi**order
        return np.broadcast_to(out, self.shape).copy()

    def mean(self) -> Floats:
        """Return the mean lifetime; ``inf`` for cure models and heavy tails.

        Returns:
            One value per distribution.

        Example:
            >>> float(APGW(phi=4.0).mean().round(9))
            0.25
        """
        return self.moment(1)

    def std(self) -> Floats:
        """Return the standard deviation; NaN where the mean is infinite.

        Returns:
            One value per distribution.

        Example:
            >>> float(APGW(phi=4.0).std().round(9))
            0.25
        """
        with np.errstate(invalid="ignore"):
            return np.sqrt(self.moment(2) - self.mean() ** 2)

    # ---- inside

    def _log_x(self, t: Any) -> Floats:
        t = np.asarray(t, float)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.gamma * (np.log(self.phi) + np.log(np.where(t < 0, 0.0, t))))

    def _time_at(self, H: Floats) -> Floats:
        y = inverse_baseline(H / self.lam, self.kappa)
        with np.errstate(over="ignore"):
            return np.exp(y / self.gamma) / self.phi


def _parameter(name: str, value: Any) -> Floats:
    """Return a parameter as an array of floats, checked."""
    array = np.asarray(value, float)
    if name == "kappa":
        bad = ~(array > -1.0)
        allowed = "> -1 (inf included)"
    else:
        bad = ~((array > 0.0) & np.isfinite(array))
        allowed = "> 0 and finite"
    if bad.any():
        raise ValueError(f"{name} must be {allowed}, got {array[bad].flat[0]:g}")
    return array


def _signs(gamma: Floats, kappa: Floats) -> tuple[Floats, Floats]:
    """Return the signs of the hazard's slope near time 0 and for long times."""
    late = gamma * kappa - 1.0
    # 1.25 * 0.8 is not exactly 1: a product within rounding of 1 is taken as 1
    late = np.where(np.abs(late) <= 4 * np.finfo(float).eps, 0.0, late)
    return np.sign(gamma - 1.0), np.sign(late)


def _short(array: Floats) -> str:
    return f"{array:g}" if array.ndim == 0 else f"array{array.shape}"


def _moment(lam: float, gamma: float, kappa: float, *, order: float) -> float:
    """Return ``E T^order`` at ``phi = 1`` as the integral of ``Q(E)^order exp(-E)`` over the exponential variate E.

    With ``E = exp(z)`` the integrand is smooth and falls off exponentially at least at both ends, so the
    trapezoidal rule converges geometrically.
    """
    from scipy.special import gammaln

    r = order / gamma
    if kappa < 0:
        return float("inf")
    if kappa == 1:
        return float(np.exp(gammaln(1 + r) - r * np.log(lam)))
    if kappa == 0:
        if lam <= r:
            return float("inf")
        return float(np.exp(gammaln(lam - r) + gammaln(1 + r) - gammaln(lam)))
    # for small kappa and lam < r the mass sits near E = r / kappa, where Q(E)^order = E^(r / kappa)
    far = r / kappa if np.isfinite(kappa) else 0.0
    if lam <= r and far > 1e8:
        return float("inf")
    far = min(far, 1e8)
    top = np.log(50.0 + far + 12.0 * np.sqrt(far) + (50.0 / (1.0 - r / lam) if lam > r else 0.0))
    nodes = 12_001 + 250 * int(np.sqrt(far))  # that mass is 1 / sqrt(far) wide on the scale of z
    z, step = np.linspace(-45.0, top, nodes, retstep=True)
    E = np.exp(z)
    log_terms = r * inverse_baseline(E / lam, np.asarray(kappa)) - E + z
    peak = log_terms.max()
    with np.errstate(over="ignore"):
        return float(np.exp(peak + np.log(np.exp(log_terms - peak).sum() * step)))
