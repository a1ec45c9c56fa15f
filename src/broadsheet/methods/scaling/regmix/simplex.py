"""The set of allowed mixtures: shares that sum to one, each within its own bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["SimplexBox", "draw_dirichlet"]

_SLACK = 1e-9


def draw_dirichlet(concentration: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw one point of the simplex for each row of concentrations, however small they are.

    Gamma variates of shape a underflow for a below about 0.01. Their logarithms do not: a gamma of shape a is a
    gamma of shape a + 1 times a uniform to the power 1 / a.

    Args:
        concentration: Concentrations > 0, (n, domains).
        rng: Source of randomness.

    Returns:
        Points, (n, domains); rows sum to 1.

    Source:
        Marsaglia and Tsang 2000, section 6 (the boost for shapes below 1).

    Example:
        >>> rows = draw_dirichlet(np.full((4, 3), 1e-4), np.random.default_rng(0))
        >>> bool(np.isfinite(rows).all()), rows.sum(axis=1).round(12).tolist()
        (True, [1.0, 1.0, 1.0, 1.0])
    """
    gamma = rng.standard_gamma(concentration + 1.0)
    with np.errstate(over="ignore"):
        log_gamma = np.log(gamma) - rng.standard_exponential(concentration.shape) / concentration
    log_gamma -= log_gamma.max(axis=1, keepdims=True)
    points: np.ndarray = np.exp(log_gamma)
    points /= points.sum(axis=1, keepdims=True)
    return points


@dataclass(frozen=True)
class SimplexBox:
    """The mixtures x with ``lower <= x <= upper`` and ``sum(x) = 1``.

    Args:
        domains: Names of the domains, in the order of the shares.
        lower: Smallest shares, (domains,).
        upper: Largest shares, (domains,).
    """

    domains: Sequence[str]
    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def of(
        cls,
        domains: Sequence[str],
        bounds: Mapping[str, tuple[float, float]] | None = None,
        min_share: float | Mapping[str, float] | None = None,
        upper: np.ndarray | None = None,
    ) -> SimplexBox:
        """Build the set from what a user gives.

        Args:
            domains: Names of the domains.
            bounds: Smallest and largest share by domain; domains that are not named go from 0 to 1.
            min_share: Smallest share of every domain, or by domain.
            upper: Largest shares from another source, (domains,); the tighter of the two counts.

        Returns:
            The set, which is not empty.

        Raises:
            ValueError: if a domain is unknown, a bound is out of range, or no mixture satisfies all of them.
        """
        low, high = np.zeros(len(domains)), np.ones(len(domains))
        place = {name: number for number, name in enumerate(domains)}
        for name, pair in _named(bounds, place, "bounds").items():
            low[place[name]], high[place[name]] = _pair(name, pair)
        if upper is not None:
            high = np.minimum(high, upper)
        shares = {} if min_share is None else min_share
        if not isinstance(shares, Mapping):
            shares = dict.fromkeys(domains, shares)
        for name, share in _named(shares, place, "min_share").items():
            if not 0.0 <= float(share) <= 1.0:
                raise ValueError(f"min_share of {name!r} must be from 0 to 1, got {share!r}")
            low[place[name]] = max(low[place[name]], float(share))
        box = cls(list(domains), low, high)
        box._check()
        return box

    def _check(self) -> None:
        crossed = np.flatnonzero(self.lower > self.upper + _SLACK)
        if len(crossed):
            at = int(crossed[0])
            raise ValueError(
                f"no mixture is within the bounds: domain {self.domains[at]!r} needs at least "
                f"{self.lower[at]:g} and may have at most {self.upper[at]:g}; widen one of them"
            )
        if self.lower.sum() > 1.0 + _SLACK:
            raise ValueError(
                f"no mixture is within the bounds: the smallest shares sum to {self.lower.sum():g}, more than 1; "
                "lower some of them"
            )
        if self.upper.sum() < 1.0 - _SLACK:
            raise ValueError(
                f"no mixture is within the bounds: the largest shares sum to {self.upper.sum():g}, less than 1; "
                "raise some of them"
            )

    def within(self, seen: np.ndarray) -> SimplexBox:
        """Return the set without shares beyond the smallest and largest that were seen.

        Where that would contradict a bound of this set, or leave no mixture, the bound stays.

        Args:
            seen: Mixtures, (n, domains).

        Returns:
            A set that lies in this one.
        """
        upper = np.clip(seen.max(axis=0), self.lower, self.upper)
        lower = np.clip(seen.min(axis=0), self.lower, self.upper)
        upper = self.upper if upper.sum() < 1.0 else upper
        lower = self.lower if lower.sum() > 1.0 else lower
        return SimplexBox(self.domains, lower, upper)

    @property
    def is_simplex(self) -> bool:
        """Whether there are no bounds but 0 and 1."""
        return bool((self.lower <= 0).all() and (self.upper >= 1).all())

    def contains(self, points: np.ndarray, slack: float = 1e-7) -> np.ndarray:
        """Tell which rows lie in the set, up to ``slack``."""
        inside = ((points >= self.lower - slack) & (points <= self.upper + slack)).all(axis=1)
        return np.asarray(inside & (np.abs(points.sum(axis=1) - 1.0) <= slack))

    def draw(self, prior: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw candidates: a Dirichlet of total concentration 1 around the prior, brought within the bounds.

        Smallest shares are set aside and the rest is shared out. What a domain would get above its largest
        share goes to the others in proportion to what they have.

        Args:
            prior: Shares >= 0 that sum to 1, (domains,).
            n: How many.
            rng: Source of randomness.

        Returns:
            Candidates, (n, domains).
        """
        # A concentration of 0 has no density; 1e-6 keeps such a domain at 0 but for one draw in a million.
        points = draw_dirichlet(np.broadcast_to(np.maximum(prior, 1e-6), (n, len(prior))), rng)
        return points if self.is_simplex else self._fill(points)

    def _fill(self, points: np.ndarray) -> np.ndarray:
        """Map points of the simplex into the set, leaving those without a bound in their way as they are."""
        room = self.upper - self.lower
        free = 1.0 - self.lower.sum()
        if free <= _SLACK:
            return np.broadcast_to(self.lower, points.shape).copy()
        # A trace in every domain, so that there is something to scale where all others are full.
        wanted = free * points + 1e-12 * room
        capped = np.zeros(points.shape, bool)
        for _ in range(points.shape[1]):  # each round fills at least one more domain, or is the last
            left = free - np.where(capped, room, 0.0).sum(axis=1)
            loose = np.where(capped, 0.0, wanted)
            scale = left / np.maximum(loose.sum(axis=1), 1e-300)
            filled = np.where(capped, room, wanted * scale[:, None])
            over = filled > room
            if not (over & ~capped).any():
                break
            capped |= over
        shares: np.ndarray = self.lower + np.minimum(filled, room)
        return shares

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return the nearest mixture of the set to each row, in Euclidean distance.

        The nearest one is ``clip(x - t, lower, upper)`` for the t at which it sums to 1. The sum falls with t and
        is linear between its breakpoints, so that t is found exactly by sorting them.

        Args:
            points: Any rows, (n, domains).

        Returns:
            Mixtures, (n, domains).

        Example:
            >>> box = SimplexBox.of(["a", "b"], {"a": (0.0, 0.3)})
            >>> box.project(np.array([[0.9, 0.1]])).round(6).tolist()
            [[0.3, 0.7]]
        """
        breaks = np.sort(np.concatenate([points - self.upper, points - self.lower], axis=1), axis=1)
        at = np.clip(points[:, None, :] - breaks[:, :, None], self.lower, self.upper).sum(axis=2)
        # Sums fall along the sorted breakpoints: the last one still at or above 1 begins the right segment.
        last = np.clip((at >= 1.0).sum(axis=1) - 1, 0, breaks.shape[1] - 2)
        rows = np.arange(len(points))
        left, right = breaks[rows, last], breaks[rows, last + 1]
        high, low = at[rows, last], at[rows, last + 1]
        drop = high - low
        along = np.where(drop > 0, (high - 1.0) / np.where(drop > 0, drop, 1.0), 0.0)
        shift = left + np.clip(along, 0.0, 1.0) * (right - left)
        nearest: np.ndarray = np.clip(points - shift[:, None], self.lower, self.upper)
        return nearest

    def best_linear(self, slopes: np.ndarray) -> np.ndarray:
        """Return the mixture with the smallest ``slopes @ x``: fill the cheapest domains first.

        Args:
            slopes: Change of the objective per unit of share, (domains,).

        Returns:
            The exact minimiser, (domains,).

        Example:
            >>> SimplexBox.of(["a", "b", "c"], {"b": (0.0, 0.4)}).best_linear(np.array([2.0, 1.0, 3.0])).tolist()
            [0.6, 0.4, 0.0]
        """
        shares = self.lower.copy()
        left = 1.0 - shares.sum()
        for domain in np.argsort(slopes, kind="stable"):
            take = min(left, self.upper[domain] - shares[domain])
            shares[domain] += take
            left -= take
        return shares


def _named(given: Mapping[str, Any] | None, known: Mapping[str, int], name: str) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ValueError(f"{name} must be a mapping from domain to value, got {type(given).__name__}")
    for domain in given:
        if domain not in known:
            raise ValueError(
                f"{name} names {domain!r}, which is no domain; domains are {', '.join(map(str, known))}"
            )
    return given


def _pair(name: str, pair: Any) -> tuple[float, float]:
    try:
        low, high = (float(value) for value in pair)
    except (TypeError, ValueError):
        raise ValueError(
            f"bounds of {name!r} must be a pair of smallest and largest share, got {pair!r}"
        ) from None
    if not 0.0 <= low <= high <= 1.0:
        raise ValueError(f"bounds of {name!r} must satisfy 0 <= smallest <= largest <= 1, got {pair!r}")
    return low, high
