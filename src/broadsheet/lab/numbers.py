"""How numbers, intervals, times and dates are written for a person: with the digits they support."""

from __future__ import annotations

import datetime as dt
import math

__all__ = ["duration", "figure", "interval", "number", "pad_unit"]

_GAP = " "  # between groups of digits and before a unit
_MINUS = "−"


def number(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """Write a value with the digits that its interval supports.

    Args:
        value: The value; None and what is not finite have words of their own.
        low: Lower end of its interval, or None.
        high: Upper end, or None.

    Returns:
        Two significant digits of the interval's half-width decide the last place; without an interval four
        significant digits are shown, and whole numbers in full.

    Example:
        >>> number(0.123456, 0.10, 0.15), number(0.047), number(1234567), number(None)
        ('0.123', '0.047', '1 234 567', '–')
    """
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("∞" if value > 0 else f"{_MINUS}∞")
    half = abs(high - low) / 2 if low is not None and high is not None else 0.0
    if half > 0 and math.isfinite(half):
        places = 1 - int(f"{half:.1e}".partition("e")[2])
        # A value far larger than its interval would show digits nobody reads; twelve are the limit.
        return figure(value, max(0, min(places, 12)))
    if value == int(value) and abs(value) < 1e15:
        return figure(value, 0)
    exponent = math.floor(math.log10(abs(value)))
    if exponent < -4 or exponent >= 15:
        mantissa, _, power = f"{value:.3e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}".replace("-", _MINUS)
    text = figure(value, max(0, 3 - exponent))
    return text.rstrip("0").rstrip(".") if "." in text else text


def figure(value: float, places: int) -> str:
    """Write a finite number with ``places`` decimals, a true minus sign and grouped thousands.

    Example:
        >>> figure(-12345.678, 1)
        '−12 345.7'
    """
    text = f"{value:,.{places}f}".replace(",", _GAP)
    if text.startswith("-"):
        text = text[1:] if not text.strip("-0." + _GAP) else _MINUS + text[1:]
    return text if abs(value) >= 9999.5 else text.replace(_GAP, "")


def interval(value: float, low: float | None, high: float | None) -> str:
    """Write an interval with the digits of its value, or "" where there is none.

    Example:
        >>> interval(0.5, 0.25, 0.75)
        '0.25 to 0.75'
    """
    if low is None or high is None:
        return ""
    return f"{number(low, low, high)} to {number(high, low, high)}"


def pad_unit(unit: str) -> str:
    """Return the unit with the space that stands before it, or "" for a pure number."""
    return f"{_GAP}{unit}" if unit else ""


def duration(seconds: float) -> str:
    """Write a duration as a person says it.

    Example:
        >>> duration(0.34), duration(75), duration(7300)
        ('0.3 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def day(moment: str) -> str:
    """Write the day of an ISO time as a person does.

    Example:
        >>> day("2025-12-08T09:30:00Z")
        '8 December 2025'
    """
    when = dt.datetime.fromisoformat(moment)
    return f"{when.day} {when:%B %Y}"
