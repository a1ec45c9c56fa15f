"""Growth rates and what follows from them: doubling times, and the doubling time of a product."""

from __future__ import annotations

import math

__all__ = ["DAYS_PER_MONTH", "combined_doubling", "doubling_time", "halving_time"]

DAYS_PER_MONTH = 365.25 / 12.0


def doubling_time(rate: float) -> float:
    """Return the time in which ``exp(rate * t)`` doubles, in the unit of ``1 / rate``.

    Args:
        rate: Growth rate of the natural logarithm, not 0; a negative one gives a negative time.

    Returns:
        ``ln 2 / rate``.

    Raises:
        ValueError: if the rate is 0 or not finite.

    Source:
        The densing law.

    Example:
        >>> round(doubling_time(0.0073), 2)
        94.95
    """
    if not math.isfinite(rate) or rate == 0.0:
        raise ValueError(f"rate must be finite and not 0 (nothing doubles at rate 0), got {rate!r}")
    return math.log(2.0) / rate


def halving_time(first: float, last: float, elapsed: float) -> float:
    """Return the time in which a falling quantity halves.

    Args:
        first: Its value at the start, > 0.
        last: Its value after ``elapsed``, in (0, first).
        elapsed: Time between, > 0, in any unit.

    Returns:
        The halving time, in the same unit.

    Raises:
        ValueError: if it does not fall, or a value is not positive.

    Example:
        >>> round(halving_time(20.0, 0.075, 20.0), 2)  # dollars for a million tokens, months
        2.48
    """
    if not (0.0 < last < first and elapsed > 0.0 and math.isfinite(first + elapsed)):
        raise ValueError(
            f"give 0 < last < first and elapsed > 0, got first={first!r}, last={last!r}, elapsed={elapsed!r}"
        )
    return elapsed / math.log2(first / last)


def combined_doubling(*times: float) -> float:
    """Return the doubling time of a product of growing quantities: their rates add.

    Args:
        times: Doubling times, > 0, all in one unit.

    Returns:
        ``1 / (1/t1 + 1/t2 + ...)``.

    Raises:
        ValueError: if none is given or one is not positive.

    Source:
        The corollary on density and Moore's law.

    Example:
        >>> round(combined_doubling(95.0, 2.1 * 365.25), 1)  # density, and chips for the same money
        84.5
    """
    if not times or not all(math.isfinite(t) and t > 0.0 for t in times):
        raise ValueError(f"times must be positive doubling times, at least one, got {times!r}")
    return 1.0 / math.fsum(1.0 / t for t in times)
