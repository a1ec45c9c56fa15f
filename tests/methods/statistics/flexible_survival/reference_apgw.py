"""A second, slow and plain implementation of the APGW distribution and its likelihood, for tests only.

It shares no code with the method. The distribution is written twice: with mpmath at 50 digits (`exact_*`), and with
autograd's numpy (`cumulative_hazard`, `log_hazard`), so that the likelihood can be differentiated by a program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import autograd
import autograd.numpy as anp
import mpmath
import numpy as np
import pandas as pd
from mpmath import mpf
from scipy import optimize

DIGITS = 50
EPS = float(np.finfo(float).eps)
BLOCKS = ("lam", "phi", "gamma", "kappa")


# ---------------------------------------------------------------- the distribution at 50 digits
def _wide(function):
    """Run with guard digits."""

    def run(*args):
        with mpmath.workdps(DIGITS + 30):
            return function(*args)

    return run


def exact_exp(value):
    """The exponential, with 0 and inf where the result is beyond any float (mpmath would try to write it out)."""
    if value > 10_000:
        return mpmath.inf
    return mpmath.mpf(0) if value < -10_000 else mpmath.exp(value)


@_wide
def exact_cumulative_hazard(t, lam, phi, gamma, kappa):
    """H(t) from its definition, with the two limits kappa = 0 and kappa = inf."""
    x = (mpf(phi) * mpf(t)) ** mpf(gamma)
    if kappa == 0:
        return mpf(lam) * mpmath.log1p(x)
    if np.isinf(kappa):
        return mpf(lam) * (mpmath.inf if x > 10_000 else mpmath.expm1(x))
    # (1 + x / k1)^k - 1, kept exact however small x or k: w - 1 loses no digit.
    k, k1 = mpf(kappa), mpf(kappa) + 1
    power = k * mpmath.log1p(x / k1)
    return mpmath.inf if power > 10_000 else mpf(lam) * k1 / k * mpmath.expm1(power)


@_wide
def exact_log_hazard(t, lam, phi, gamma, kappa):
    """Log h(t) from its definition."""
    t, phi, gamma = mpf(t), mpf(phi), mpf(gamma)
    x = (phi * t) ** gamma
    start = mpmath.log(mpf(lam) * gamma) + gamma * mpmath.log(phi) + (gamma - 1) * mpmath.log(t)
    if np.isinf(kappa):
        return start + x
    k1 = mpf(kappa) + 1
    return start + (mpf(kappa) - 1) * mpmath.log1p(x / k1)


@_wide
def exact_quantile(cumulative_hazard, lam, phi, gamma, kappa):
    """The time at which H reaches the given value; infinite where it never does."""
    e = mpf(cumulative_hazard) / mpf(lam)
    if kappa == 0:
        x = mpmath.expm1(e)
    elif np.isinf(kappa):
        x = mpmath.log1p(e)
    else:
        k, k1 = mpf(kappa), mpf(kappa) + 1
        base = 1 + k * e / k1
        if base <= 0:
            return mpmath.inf
        x = k1 * mpmath.expm1(mpmath.log1p(k * e / k1) / k)
    return x ** (1 / mpf(gamma)) / mpf(phi)


@dataclass(frozen=True)
class Slack:
    """What careful double precision may lose, through conditioning alone.

    log x = gamma (log phi + log t) carries the rounding of its terms; everything after it magnifies that by its own
    derivative, and each exponential magnifies the rounding of its argument by the argument's size.

    Attributes:
        hazard: Relative error of H(t).
        log_hazard: Absolute error of log h(t).
        time: Relative error of t found from H.
    """

    hazard: float
    log_hazard: float
    time: float


@_wide
def slack(t, lam, phi, gamma, kappa) -> Slack:
    """The allowance at one point: 32 units of rounding times the condition numbers."""
    log_t = mpmath.log(mpf(t))
    log_x = mpf(gamma) * (mpmath.log(mpf(phi)) + log_t)
    x = mpmath.exp(log_x)
    log_h = exact_log_hazard(t, lam, phi, gamma, kappa)
    big_h = exact_cumulative_hazard(t, lam, phi, gamma, kappa)
    if big_h == mpmath.inf:  # far beyond the floats: only its being infinite can be asked for
        return Slack(1e-6, 1e-6, 1e-6)
    elasticity = exact_exp(log_h + log_t - mpmath.log(big_h))
    log_terms = mpf(gamma) * (abs(mpmath.log(mpf(phi))) + abs(log_t))
    if np.isinf(kappa):
        power, bend, log_w = x, x, x
    else:
        k, k1 = mpf(kappa), mpf(kappa) + 1
        log_w = mpmath.log1p(x / k1)
        power, bend = abs(k) * log_w, abs(k - 1) * x / (k1 + x)
    in_x = 1 + log_terms
    hazard = 1 + power + elasticity / mpf(gamma) * in_x
    scale = abs(mpmath.log(mpf(lam))) + abs(mpmath.log(mpf(gamma))) + abs(log_t)
    log_hazard = scale + in_x * (1 + bend) + power + log_w
    if elasticity == 0:  # H has reached its limit, a time cannot be read from it
        return Slack(float(32 * EPS * hazard), float(32 * EPS * log_hazard), float("inf"))
    time = hazard / elasticity + (1 + log_w + in_x) / mpf(gamma) + abs(log_t) + abs(mpmath.log(mpf(phi)))
    return Slack(float(32 * EPS * hazard), float(32 * EPS * log_hazard), float(32 * EPS * time))


# ---------------------------------------------------------------- the distribution in double precision
def cumulative_hazard(t, log_lam, log_phi, log_gamma, kappa):
    """H(t), differentiable; good to rounding unless kappa is tiny but not 0."""
    log_x = anp.exp(log_gamma) * (log_phi + anp.log(t))
    if isinstance(kappa, float) and kappa == 0:
        return anp.exp(log_lam) * anp.log1p(anp.exp(log_x))
    if isinstance(kappa, float) and np.isinf(kappa):
        return anp.exp(log_lam) * anp.expm1(anp.exp(log_x))
    k1 = kappa + 1
    return anp.exp(log_lam) * k1 / kappa * anp.expm1(kappa * anp.log1p(anp.exp(log_x) / k1))


def log_hazard(t, log_lam, log_phi, log_gamma, kappa):
    """Log h(t), differentiable."""
    log_x = anp.exp(log_gamma) * (log_phi + anp.log(t))
    start = log_lam + log_gamma + log_x - anp.log(t)
    if isinstance(kappa, float) and np.isinf(kappa):
        return start + anp.exp(log_x)
    return start + (kappa - 1) * anp.log1p(anp.exp(log_x) / (kappa + 1))


def draw_times(rng, log_lam, log_phi, log_gamma, kappa, size=None):
    """Lifetimes by inverting S; the cured get inf."""
    u = rng.uniform(size=np.broadcast(log_lam, log_phi, log_gamma).shape if size is None else size)
    e = -np.log(u) / np.exp(log_lam)
    if kappa == 0:
        x = np.expm1(e)
    elif np.isinf(kappa):
        x = np.log1p(e)
    else:
        base = 1 + kappa * e / (kappa + 1)
        cured = base <= 0
        x = (kappa + 1) * (np.where(cured, 1.0, base) ** (1 / kappa) - 1)
        x = np.where(cured, np.inf, x)
    return x ** np.exp(-np.asarray(log_gamma)) * np.exp(-np.asarray(log_phi))


# ---------------------------------------------------------------- the likelihood
@dataclass(frozen=True)
class Model:
    """Data and design of one regression, spelled out.

    `designs` maps a block ("lam", "phi", "gamma", "kappa") to a frame whose columns are its terms; a block that is
    left out is fixed: at 1, or at `kappa` for the family shape. Either (time, event) or (lower, upper) is given.
    """

    designs: Mapping[str, pd.DataFrame]
    kappa: float = 1.0
    time: np.ndarray | None = None
    event: np.ndarray | None = None
    entry: np.ndarray | None = None
    weights: np.ndarray | None = None
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None

    @property
    def terms(self) -> list[tuple[str, str]]:
        """Pairs of (block, term), in the order of the parameter vector."""
        return [
            (block, term) for block in BLOCKS if block in self.designs for term in self.designs[block].columns
        ]

    def predictors(self, theta):
        """Log lambda, log phi, log gamma per row, and kappa (per row, or the fixed number)."""
        found, at = {}, 0
        for block in BLOCKS:
            if block in self.designs:
                x = self.designs[block].to_numpy(float)
                found[block] = anp.dot(x, theta[at : at + x.shape[1]])
                at += x.shape[1]
        kappa = anp.exp(found["kappa"]) - 1 if "kappa" in found else float(self.kappa)
        return found.get("lam", 0.0), found.get("phi", 0.0), found.get("gamma", 0.0), kappa

    def rows(self, theta):
        """The log-likelihood of each row, unweighted."""
        parameters = self.predictors(theta)
        if self.lower is not None:
            return self._interval_rows(parameters)
        log_h = log_hazard(self.time, *parameters)
        rows = self.event * log_h - cumulative_hazard(self.time, *parameters)
        if self.entry is not None:
            late = self.entry > 0
            at_entry = cumulative_hazard(np.where(late, self.entry, 1.0), *parameters)
            rows = rows + anp.where(late, at_entry, 0.0)
        return rows

    def _interval_rows(self, parameters):
        """Log(S(lower) - S(upper)), or the log density where both ends are one time."""
        exact, open_end, from_zero = self.lower == self.upper, np.isinf(self.upper), self.lower <= 0
        upper = np.where(open_end, 1.0, self.upper)
        lower = np.where(from_zero, 1.0, self.lower)
        h_low = anp.where(from_zero, 0.0, cumulative_hazard(lower, *parameters))
        h_up = cumulative_hazard(upper, *parameters)
        gap = anp.where(exact | open_end, 1.0, h_up - h_low)
        between = anp.where(open_end, 0.0, anp.log(-anp.expm1(-gap)))
        return anp.where(exact, log_hazard(upper, *parameters) - h_up, between - h_low)

    def log_likelihood(self, theta):
        """The weighted sum over rows."""
        rows = self.rows(theta)
        return anp.sum(rows if self.weights is None else self.weights * rows)

    def gradient(self, theta) -> np.ndarray:
        """The score vector, by automatic differentiation."""
        return autograd.grad(self.log_likelihood)(np.asarray(theta, float))

    def hessian(self, theta) -> np.ndarray:
        """Second derivatives: central differences of the score, steps of a ten-thousandth."""
        theta = np.asarray(theta, float)
        columns = []
        for i in range(theta.size):
            step = np.zeros_like(theta)
            step[i] = 1e-4 * max(1.0, abs(theta[i]))
            # Richardson's rule on two step lengths: the error is of the fourth order.
            wide = (self.gradient(theta + 2 * step) - self.gradient(theta - 2 * step)) / (4 * step[i])
            narrow = (self.gradient(theta + step) - self.gradient(theta - step)) / (2 * step[i])
            columns.append((4 * narrow - wide) / 3)
        hessian = np.array(columns)
        return (hessian + hessian.T) / 2

    def standard_errors(self, theta) -> np.ndarray:
        """Square roots of the diagonal of the inverse observed information."""
        return np.sqrt(np.diag(np.linalg.inv(-self.hessian(theta))))

    def newton_step_in_errors(self, theta) -> np.ndarray:
        """How far the maximum is, parameter by parameter, in units of its standard error (to first order)."""
        information = np.linalg.inv(-self.hessian(theta))
        return information @ self.gradient(theta) / np.sqrt(np.diag(information))

    def maximise(self, starts: Sequence[Sequence[float]]) -> tuple[np.ndarray, float]:
        """The best of plain quasi-Newton searches from the given starts."""
        best, value = None, -np.inf
        for start in starts:
            with np.errstate(all="ignore"):
                found = optimize.minimize(
                    lambda theta: -self.log_likelihood(theta),
                    np.asarray(start, float),
                    jac=lambda theta: -self.gradient(theta),
                    method="BFGS",
                    options={"gtol": 1e-6, "maxiter": 500},
                )
            if np.isfinite(found.fun) and -found.fun > value:
                best, value = found.x, -found.fun
        assert best is not None, "no search ended at a finite likelihood"
        return best, value


def design(frame: pd.DataFrame, *columns: str, intercept: bool = True) -> pd.DataFrame:
    """The intercept (unless refused) and the named numeric columns."""
    parts = {"Intercept": np.ones(len(frame))} if intercept else {}
    return pd.DataFrame({**parts, **{name: frame[name].to_numpy(float) for name in columns}})


# ---------------------------------------------------------------- shapes by brute force
def shape_by_grid(phi, gamma, kappa, points=4001) -> tuple[str, float]:
    """The shape of the hazard, seen on a grid over 40 decades of x, and the time where it turns (or nan).

    The slope of log h in log t is used, so that neither end under- or overflows.
    """
    log_x = np.linspace(-46, 46, points)
    t = np.exp(log_x / gamma) / phi
    values = log_hazard(t, 0.0, np.log(phi), np.log(gamma), float(kappa))
    steps = np.diff(values)
    # Steps of rounding size have no sign.
    signs = np.sign(np.where(np.abs(steps) < 1e-11 * (1 + np.abs(values[1:])), 0.0, steps))
    runs = [s for i, s in enumerate(signs[signs != 0]) if i == 0 or s != signs[signs != 0][i - 1]]
    names = {(): "constant", (1,): "increasing", (-1,): "decreasing", (1, -1): "up-down", (-1, 1): "down-up"}
    name = names[tuple(int(s) for s in runs)]
    if len(runs) < 2:
        return name, float("nan")
    place = int(np.argmax(values) if name == "up-down" else np.argmin(values))
    sign = -1 if name == "up-down" else 1
    found = optimize.minimize_scalar(
        lambda z: sign * float(log_hazard(np.exp(z), 0.0, np.log(phi), np.log(gamma), float(kappa))),
        bracket=tuple(np.log(t[[max(place - 1, 0), place, min(place + 1, points - 1)]])),
        tol=1e-12,
    )
    return name, float(np.exp(found.x))
