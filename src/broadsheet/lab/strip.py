"""The small plot of a claim: the published value as a tick, what was measured as a dot with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from broadsheet.claims import Claim
from broadsheet.lab.numbers import number, pad_unit
from broadsheet.lab.store import Result

__all__ = ["strip"]

_WIDTH, _HEIGHT, _MARGIN = 320.0, 34.0, 8.0
_ROUNDING = 1e-11


def strip(claim: Claim, latest: Result | None, earlier: Sequence[Result] = ()) -> str:
    """Draw a claim's published and measured values on one axis, as SVG to stand inside HTML.

    It takes its colours from the page: ``currentColor``, and the classes ``strip-published``,
    ``strip-measured``, ``strip-earlier`` and ``strip-accepted``.

    Args:
        claim: The claim.
        latest: The measurement to show, or None.
        earlier: Earlier measurements, drawn as faint dots.

    Returns:
        The SVG with a text for screen readers, or "" where no value is known.
    """
    old = [r.value for r in earlier if r.value is not None]
    points = [v for v in [claim.published, *old] if v is not None]
    if latest is not None and latest.value is not None:
        points += [v for v in (latest.value, latest.low, latest.high) if v is not None]
    if not points:
        return ""
    rule = claim.rule
    points += [end for end in (rule.low, rule.high) if math.isfinite(end)]
    if claim.no_effect is not None:
        points.append(claim.no_effect)
    least, most = min(points), max(points)
    # An equality's tolerance is there for rounding only: it is a line, not a band.
    is_equality = most - least <= _ROUNDING * max(1.0, abs(most))
    room = (abs(most) * 0.1 or 1.0) if is_equality else (most - least) * 0.06
    least, most = least - room, most + room

    def x(value: float) -> float:
        share = (min(max(value, least), most) - least) / (most - least)
        return round(_MARGIN + share * (_WIDTH - 2 * _MARGIN), 1)

    middle = _HEIGHT / 2
    left, right = x(rule.low), x(rule.high)
    parts = [
        f'<rect class="strip-accepted" x="{left}" y="{middle - 7}" width="{round(right - left, 1)}" height="14" '
        'fill="currentColor" fill-opacity="0.08"/>',
        f'<line x1="{_MARGIN}" x2="{_WIDTH - _MARGIN}" y1="{middle}" y2="{middle}" stroke="currentColor" '
        'stroke-opacity="0.35" stroke-width="1"/>',
    ]
    if claim.no_effect is not None:
        at = x(claim.no_effect)
        parts.append(
            f'<line x1="{at}" x2="{at}" y1="{middle - 9}" y2="{middle + 9}" stroke="currentColor" '
            'stroke-opacity="0.5" stroke-dasharray="2 2"/>'
        )
    parts += [
        f'<circle class="strip-earlier" cx="{x(v)}" cy="{middle}" r="3" fill="currentColor" fill-opacity="0.25"/>'
        for v in old
    ]
    said = []
    if claim.published is not None:
        at = x(claim.published)
        parts.append(
            f'<line class="strip-published" x1="{at}" x2="{at}" y1="{middle - 11}" y2="{middle + 11}" '
            'stroke="currentColor" stroke-width="2"/>'
        )
        said.append(f"published {number(claim.published)}{pad_unit(claim.unit)}")
    if latest is not None and latest.value is not None:
        if latest.low is not None and latest.high is not None:
            parts.append(
                f'<line class="strip-measured" x1="{x(latest.low)}" x2="{x(latest.high)}" y1="{middle}" '
                f'y2="{middle}" stroke="currentColor" stroke-width="3"/>'
            )
        parts.append(
            f'<circle class="strip-measured" cx="{x(latest.value)}" cy="{middle}" r="4.5" fill="currentColor"/>'
        )
        said.append(f"measured {latest.in_words()}")
    label = escape("; ".join(said) or "accepted values")
    return (
        f'<svg class="strip" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label="{label}" '
        f'preserveAspectRatio="xMidYMid meet">{"".join(parts)}</svg>'
    )
