"""Maximum likelihood: several starts, the best regular maximum, and what must be said about it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from broadsheet.methods.statistics.flexible_survival.design import Block, Rows
from broadsheet.methods.statistics.flexible_survival.hazard import Floats, baseline
from broadsheet.methods.statistics.flexible_survival.likelihood import A, B, Likelihood, N, S
from broadsheet.methods.statistics.flexible_survival.newton import Maximum, maximise, maximise_some
from broadsheet.methods.statistics.flexible_survival.observations import FitWarning

__all__ = ["Fit", "maximum_likelihood", "refuse_confounded"]

NU_STARTS = (0.0, 1.5, -0.5, 0.7)  # log-logistic, steeply rising, a cure model, Weibull
SPIKE = 20.0  # a power shape above this is a spike at one time rather than a lifetime
_SINGULAR = 1e-9  # smallest eigenvalue of the information scaled to a unit diagonal
_ENOUGH_ROWS = 1_000
_MANY_ROWS = 20_000
_SAMPLE = 8_000


@dataclass(frozen=True)
class Fit:
    """A maximum of the likelihood, on the user's scale.

    Attributes:
        likelihood: The function that was maximised.
        theta: (p,) standardised coefficients.
        coefficients: (p,) coefficients on the user's scale.
        covariance: (p, p) inverse observed information on the user's scale; NaN where it is singular.
        value: Log-likelihood.
        converged: Whether the search met its tolerance.
        regular: Whether it did so at an isolated maximum, with no gamma that makes a spike.
        iterations: Newton steps over all starts.
    """

    likelihood: Likelihood
    theta: Floats
    coefficients: Floats
    covariance: Floats
    value: float
    converged: bool
    regular: bool
    iterations: int


def maximum_likelihood(
    likelihood: Likelihood,
    *,
    start: Floats | None = None,
    more_starts: Sequence[Floats] = (),
    tolerance: float = 1e-10,
    max_iterations: int = 200,
) -> Fit:
    """Maximise a likelihood and warn of what makes its numbers unsafe.

    Args:
        likelihood: The function.
        start: (p,) the user's coefficients to start from; the built-in starts if None.
        more_starts: Further starts on the user's scale.
        tolerance: Stop where a step promises less than this in log-likelihood.
        max_iterations: Largest number of Newton steps from each start.

    Returns:
        The best regular maximum; the best of all where none is regular.

    Raises:
        ValueError: if there are fewer events than coefficients.
    """
    seen, p = likelihood.seen, likelihood.rows.size
    happened = int((seen.happened & (seen.weights > 0)).sum())
    if happened < p:
        raise ValueError(
            f"{happened} event{'s' * (happened != 1)} cannot carry {p} coefficients "
            f"({', '.join(f'{a}[{c}]' for a, c in likelihood.rows.names())}); use simpler formulas or hold kappa"
        )
    both_scales = {S, B} <= set(likelihood.rows.free)

    def give_up(theta: Floats) -> bool:
        # with one scale a sharp peak is a maximum like any other, unless all rows fail at once
        return _largest_gamma(likelihood, theta) > (10 * SPIKE if both_scales else 1e6)

    def climb(function: Likelihood, begin: Floats) -> Maximum:
        return maximise(
            function.derivatives, begin, tolerance=tolerance, max_iterations=max_iterations, give_up=give_up
        )

    if start is not None:
        starts = [_standardised(likelihood.rows, start)]
    else:
        starts = _starts(likelihood) + [_standardised(likelihood.rows, s) for s in more_starts]
    steps = 0
    # With many rows the starts compete on every k-th row by time, and the winner goes on with all.
    sample = _sample(likelihood) if len(starts) > 1 else None
    arena = likelihood if sample is None else sample
    found: list[Maximum] = []
    for begin in starts:
        found.append(climb(arena, begin))
        if not both_scales and likelihood.seen.n > _ENOUGH_ROWS and _agree(arena, found):
            break  # with many rows a second maximum is unlikely: two starts that meet are enough
    if both_scales and start is None:
        found += [climb(arena, begin) for begin in [*_one_scale_maxima(arena, starts), *_corner(arena)]]
    if sample is not None:
        steps = sum(trial.iterations for trial in found)
        found = [climb(likelihood, _best(sample, found)[0].theta)]
    best, rival = _best(likelihood, found)
    steps += sum(trial.iterations for trial in found)
    fit = _with_covariance(likelihood, best, steps)
    _warn(fit, rival)
    return fit


def refuse_confounded(rows: Rows) -> None:
    """Raise where lam and phi act through ``lam * phi^gamma`` only.

    Args:
        rows: The four blocks.

    Raises:
        ValueError: if kappa is held at 1 and both scales have the same term.
    """
    lam, phi, _, kappa = rows.blocks
    if kappa.held is None or kappa.held != np.log1p(1.0):
        return
    shared = [name for name in lam.names if name in phi.names]
    if shared:
        raise ValueError(
            f"lam and phi both have the term {shared[0]!r} while kappa is held at 1: there the hazard depends "
            "on lam * phi^gamma alone, so they cannot be told apart; drop the term from one of them or free kappa"
        )


def _starts(likelihood: Likelihood) -> list[Floats]:
    """Return starts with slopes 0, gamma 1, and the scales at the exponential rate, one for each nu."""
    seen, blocks = likelihood.seen, likelihood.rows.blocks
    exposure = seen.middle - seen.entry
    rate = seen.events / float(seen.weights @ exposure)
    nu_block = blocks[N]
    nus: Sequence[float | None] = NU_STARTS if nu_block.held is None else (None,)
    starts = []
    for nu in nus:
        theta = np.zeros(likelihood.rows.size)
        if nu is not None:
            theta[likelihood.rows.slices[N]] = _level(nu_block, nu, seen.weights)
        log_phi = blocks[B].held
        if log_phi is None:
            log_phi = float(np.log(rate))
            theta[likelihood.rows.slices[B]] = _level(blocks[B], log_phi, seen.weights)
        if blocks[S].held is None:
            gamma = np.exp(float(blocks[A].held or 0.0))
            kappa = np.expm1(float(nu_block.held if nu is None else nu))  # type: ignore[arg-type]
            with np.errstate(divide="ignore", over="ignore"):
                until, _ = baseline(gamma * (log_phi + np.log(seen.middle)), kappa)
                since, _ = baseline(gamma * (log_phi + np.log(seen.entry)), kappa)
                # given the other parameters, events / summed hazard is the maximum in lam
                log_lam = np.log(seen.events / float(seen.weights @ (until - since)))
            theta[likelihood.rows.slices[S]] = _level(blocks[S], max(float(log_lam), -600.0), seen.weights)
        starts.append(theta)
    return starts


def _standardised(rows: Rows, coefficients: Floats) -> Floats:
    return np.asarray(np.linalg.solve(rows.to_user(), coefficients))


def _level(block: Block, value: float, weights: Floats) -> Floats:
    """Return the coefficients whose predictor is nearest to a constant."""
    out = np.zeros(len(block.names))
    if block.intercept is not None:
        out[block.intercept] = value
    elif block.matrix is not None:
        weighted = block.matrix * weights[:, None]
        out = np.asarray(np.linalg.solve(weighted.T @ block.matrix, weighted.sum(axis=0) * value))
    return out


def _one_scale_maxima(likelihood: Likelihood, starts: Sequence[Floats]) -> list[Floats]:
    """Return the maxima of the two nested models with covariates on one scale only.

    With both scales free the surface is a curved ridge; from slopes 0 a search can leave along it to a
    singular point although a regular maximum lies higher. The nested maxima lie on the right side.
    """
    out = []
    for scale in (S, B):
        block, part = likelihood.rows.blocks[scale], likelihood.rows.slices[scale]
        moves = np.ones(likelihood.rows.size, bool)
        moves[part] = False
        if block.intercept is not None and scale == B:
            moves[part.start + block.intercept] = True
        trials = []
        for begin in starts:
            kept = begin.copy()
            kept[part] = np.where(moves[part], begin[part], 0.0)
            trials.append(maximise_some(likelihood.derivatives, kept, moves))
        out.append(max(trials, key=lambda m: m.value).theta)
    return out


def _corner(likelihood: Likelihood) -> list[Floats]:
    """Return a start in the corner where a spike hides: large gamma, kappa near 0, phi at the first event.

    There the distribution is Pareto-like with its density heaped on the smallest times. Whether that beats the
    regular maxima must be known, to be said.
    """
    seen, rows = likelihood.seen, likelihood.rows
    first = float(seen.middle[seen.happened].min())
    theta = np.zeros(rows.size)
    levels = {S: -3.0, B: -np.log(first) - 0.3, A: 2.5, N: 0.02}
    for j in rows.free:
        theta[rows.slices[j]] = _level(rows.blocks[j], levels[j], seen.weights)
    return [theta]


def _sample(likelihood: Likelihood) -> Likelihood | None:
    """Return the likelihood of every k-th row by time where there are very many rows, else None."""
    seen = likelihood.seen
    if seen.n <= _MANY_ROWS:
        return None
    rows = np.argsort(seen.lower, kind="stable")[:: seen.n // _SAMPLE]
    part = seen.take(rows)
    if (part.happened & (part.weights > 0)).sum() < 50 * likelihood.rows.size:
        return None  # events are too rare for a sample to speak for all
    return Likelihood(part, likelihood.rows.take(rows))


def _largest_gamma(likelihood: Likelihood, theta: Floats) -> float:
    with np.errstate(over="ignore"):
        return float(np.exp(np.max(likelihood.rows.predictors(theta)[A])))


def _agree(likelihood: Likelihood, found: Sequence[Maximum]) -> bool:
    """Whether the last two searches ended at the same regular maximum."""
    return (
        len(found) > 1
        and abs(found[-1].value - found[-2].value) < 1e-6
        and _is_regular(likelihood, found[-1])
    )


def _scaled_information(found: Maximum) -> tuple[Floats, Floats]:
    """Return eigenvalues and vectors of the information scaled to a unit diagonal."""
    diagonal = -np.diag(found.hessian)
    if not (np.isfinite(found.hessian).all() and (diagonal > 0).all()):
        return np.full(len(diagonal), -1.0), np.eye(len(diagonal))
    scale = 1.0 / np.sqrt(diagonal)
    values, vectors = np.linalg.eigh(-found.hessian * scale[:, None] * scale[None, :])
    return values, vectors


def _is_regular(likelihood: Likelihood, found: Maximum) -> bool:
    return (
        found.converged
        and _largest_gamma(likelihood, found.theta) <= SPIKE
        and _scaled_information(found)[0][0] > _SINGULAR
    )


def _best(likelihood: Likelihood, found: Sequence[Maximum]) -> tuple[Maximum, Maximum | None]:
    """Return the best regular maximum, and a better irregular one if there is any.

    Where none is regular, a point that is no spike comes before a spike.
    """
    finite = [m for m in found if np.isfinite(m.value)]
    if not finite:
        raise ValueError(
            "the likelihood is not finite at any start; give initial_point=, or check the times for extreme values"
        )
    highest = max(finite, key=lambda m: m.value)
    regular = [m for m in finite if _is_regular(likelihood, m)]
    no_spike = [m for m in finite if _largest_gamma(likelihood, m.theta) <= SPIKE]
    best = max(regular or no_spike or finite, key=lambda m: m.value)
    return best, highest if highest.value > best.value + 1e-3 else None


def _with_covariance(likelihood: Likelihood, best: Maximum, steps: int) -> Fit:
    jacobian = likelihood.rows.to_user()
    p = likelihood.rows.size
    covariance = np.full((p, p), np.nan)
    if _scaled_information(best)[0][0] > _SINGULAR:
        scale = 1.0 / np.sqrt(-np.diag(best.hessian))
        factor = linalg.cho_factor(-best.hessian * scale[:, None] * scale[None, :])
        inverse = linalg.cho_solve(factor, np.eye(p)) * scale[:, None] * scale[None, :]
        covariance = jacobian @ inverse @ jacobian.T
    return Fit(
        likelihood,
        best.theta,
        jacobian @ best.theta,
        covariance,
        best.value,
        best.converged,
        _is_regular(likelihood, best),
        steps,
    )


def _warn(fit: Fit, rival: Maximum | None) -> None:
    """Say what makes the numbers of a fit unsafe, naming the coefficient where there is one."""
    likelihood = fit.likelihood
    names = [f"{a}[{c}]" for a, c in likelihood.rows.names()]
    told = []
    diverging = _arms_without_events(likelihood)
    for name, column in diverging:
        told.append(
            f"{name} diverges: there is no event on one side of {column!r}, so its estimate is as large as the "
            "search let it become and its standard error means nothing"
        )
    if rival is not None:
        told.append(
            f"the likelihood has a higher, irregular point ({rival.value:.3f} against {fit.value:.3f}) with gamma "
            f"up to {_largest_gamma(likelihood, rival.theta):.3g}: a spike at a few times or a ridge without end, "
            "not a lifetime; it is not reported"
        )
    gamma = _largest_gamma(likelihood, fit.theta)
    if gamma > SPIKE:
        told.append(
            f"gamma is {gamma:.3g} (above {SPIKE:g}): the density is a spike at one time; hold a parameter or "
            "drop one of the two scales before you read these numbers"
        )
    if np.isnan(fit.covariance).any() and not diverging:
        told.append(
            f"the information matrix is singular along {_flat_direction(fit, names)}: these cannot be told apart "
            "on this data; there are no standard errors"
        )
    if not fit.converged:
        told.append("the search stopped before it met its tolerance; try initial_point= or simpler formulas")
    nu = likelihood.rows.predictors(fit.theta)[N]
    if likelihood.rows.blocks[N].held is None and np.max(nu) > np.log(1001.0):
        told.append(
            f"kappa ran to {np.expm1(np.max(nu)):.3g}: the data ask for the limit; fit kappa=float('inf') instead"
        )
    if likelihood.rows.blocks[N].held is None and np.min(nu) < np.log(0.001):
        told.append(
            "kappa ran to -1, its boundary: follow-up is too short to tell cure from slow failure; hold kappa"
        )
    for sentence in told:
        warnings.warn(sentence, FitWarning, stacklevel=5)


def _flat_direction(fit: Fit, names: Sequence[str]) -> str:
    _, _, hessian = fit.likelihood.derivatives(fit.theta)
    _, vectors = _scaled_information(Maximum(fit.theta, fit.value, hessian, True, 0))
    loading = np.abs(vectors[:, 0])
    return " and ".join(names[j] for j in np.argsort(-loading)[:2] if loading[j] > 0.1) or names[0]


def _arms_without_events(likelihood: Likelihood) -> list[tuple[str, str]]:
    """Return the coefficients of two-valued columns one side of which has no event."""
    seen = likelihood.seen
    counts = seen.happened & (seen.weights > 0)
    out = []
    for block in likelihood.rows.blocks:
        if block.matrix is None or block.is_constant:
            continue
        for j, name in enumerate(block.names):
            if j == block.intercept:
                continue
            column = block.matrix[:, j]
            low, high = column.min(), column.max()
            at_low = column == low
            two_valued = bool((at_low | (column == high)).all())
            if two_valued and not (counts[at_low].any() and counts[~at_low].any()):
                out.append((f"{block.parameter}[{name}]", name))
    return out
