"""The dot-and-interval plot of a claim, drawn on the server as SVG that takes the page's colours."""

from __future__ import annotations

import math
from dataclasses import dataclass

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from broadsheet.claims import Scale
from broadsheet.lab.numbers import number
from broadsheet.lab.store import Result
from broadsheet.site.pages.measurements import ClaimView, interval_words

__all__ = ["Axis", "claim_plot", "nice_ticks"]

WIDTH = 460
_LEFT, _RIGHT = 88, 14
_ROW = 24
_ROUNDING = 1e-11


@dataclass(frozen=True)
class Axis:
    """A linear axis.

    Args:
        low: Value at its left end.
        high: Value at its right end, greater than ``low``.
    """

    low: float
    high: float

    def x(self, value: float) -> float:
        """Return where a value stands, in the plot's units, held inside the axis."""
        share = (value - self.low) / (self.high - self.low)
        return round(_LEFT + min(max(share, 0.0), 1.0) * (WIDTH - _LEFT - _RIGHT), 1)

    def holds(self, value: float) -> bool:
        """Tell whether a value lies on the axis."""
        return self.low <= value <= self.high


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round values between two ends.

    Example:
        >>> nice_ticks(0.13, 0.82)
        [0.2, 0.4, 0.6, 0.8]
    """
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    for factor in (1, 2, 5, 10):
        if (high - low) / (step * factor) <= most:
            step *= factor
            break
    first = math.ceil(low / step - 1e-9)
    places = max(0, 1 - math.floor(math.log10(step)))
    return [round(n * step, places) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def claim_plot(view: ClaimView) -> SafeString:
    """Draw published and measured values of a claim on one axis.

    The published value is a tick, a measured one a dot with its interval, earlier runs are faint dots; the
    accepted values are shaded, "no effect" is a dashed line.

    Args:
        view: The claim.

    Returns:
        An ``svg`` element with a description in words; "" where nothing was measured.
    """
    rows = _rows(view)
    if not rows:
        return mark_safe("")
    axis = _axis(view, rows)
    published = view.claim.published is not None
    top = 26 if published else 10
    bottom = top + _ROW * len(rows)
    parts = _ground(view, axis, top, bottom)
    for n, (name, result) in enumerate(rows):
        y = top + _ROW * n + _ROW // 2
        if name != "reference":
            earlier = [
                r.value
                for r in view.history
                if r is not result and r.scale is result.scale and r.value is not None and axis.holds(r.value)
            ]
            parts += [f'<circle class="p-past" cx="{axis.x(v)}" cy="{y}" r="3"/>' for v in earlier]
        parts += _row(name, result, axis, y)
    parts += _scale(axis, bottom, view.claim.unit)
    words = escape(_in_words(view, rows))
    return mark_safe(
        f'<svg class="plot" viewBox="0 0 {WIDTH} {bottom + 36}" role="img" aria-label="{words}">{"".join(parts)}</svg>'
    )


def _rows(view: ClaimView) -> list[tuple[str, Result]]:
    """Return what is drawn, by its label: the newest value of each scale here, the largest first, and ours."""
    here = {r.scale: r for r in reversed(view.history) if r.value is not None}
    ours = view.reference if view.reference is not None and view.reference.value is not None else None
    is_mixed = len({*here, *([ours.scale] if ours else [])}) > 1
    rows = [
        (f"here, {scale}" if is_mixed else "here", here[scale]) for scale in reversed(Scale) if scale in here
    ]
    return rows + ([("reference", ours)] if ours else [])


def _axis(view: ClaimView, rows: list[tuple[str, Result]]) -> Axis:
    values = [v for _, r in rows for v in (r.value, r.low, r.high) if v is not None and math.isfinite(v)]
    if view.claim.published is not None:
        values.append(view.claim.published)
    if view.claim.no_effect is not None:
        values.append(view.claim.no_effect)
    rule = view.claim.rule
    low, high = min(values), max(values)
    span = high - low or 0.02 * abs(high) or 1.0
    bounds = [bound for bound in (rule.low, rule.high) if math.isfinite(bound)]
    if len(bounds) == 2:
        low, high = min(low, *bounds), max(high, *bounds)
        span = high - low
    # One bound, and earlier runs, are shown where they are near; a far one would squeeze the rest.
    others = [*bounds, *(r.value for r in view.history if r.value is not None)]
    near = [v for v in others if low - 3 * span <= v <= high + 3 * span]
    low, high = min([low, *near]), max([high, *near])
    # An equality's tolerance is there for rounding only: ticks inside it would all read the same.
    is_equality = high - low <= _ROUNDING * max(1.0, abs(high))
    pad = (0.1 * abs(high) or 1.0) if is_equality else 0.08 * (high - low)
    return Axis(low - pad, high + pad)


def _ground(view: ClaimView, axis: Axis, top: int, bottom: int) -> list[str]:
    parts = []
    rule = view.claim.rule
    left, right = axis.x(max(rule.low, axis.low)), axis.x(min(rule.high, axis.high))
    if right > left:
        parts.append(
            f'<rect class="p-band" x="{left}" y="{top}" width="{right - left:.1f}" height="{bottom - top}"/>'
        )
    no_effect = view.claim.no_effect
    if no_effect is not None and axis.holds(no_effect):
        x = axis.x(no_effect)
        parts.append(f'<line class="p-none" x1="{x:g}" x2="{x:g}" y1="{top}" y2="{bottom}"/>')
    if view.claim.published is not None:
        x = axis.x(view.claim.published)
        anchor = "start" if x < _LEFT + 60 else ("end" if x > WIDTH - 70 else "middle")
        parts.append(f'<line class="p-tick" x1="{x:g}" x2="{x:g}" y1="{top - 6}" y2="{bottom}"/>')
        label = f"published {escape(number(view.claim.published))}"
        parts.append(f'<text class="p-label p-{anchor}" x="{x:g}" y="{top - 11}">{label}</text>')
    return parts


def _row(name: str, result: Result, axis: Axis, y: int) -> list[str]:
    value = result.value if result.value is not None else math.nan
    parts = [f'<text class="p-label" x="{_LEFT - 12}" y="{y + 4}">{name}</text>']
    style = "reference" if name == "reference" else "here"
    if result.low is not None and result.high is not None:
        low, high = axis.x(result.low), axis.x(result.high)
        parts.append(f'<line class="p-span p-{style}" x1="{low:g}" x2="{high:g}" y1="{y}" y2="{y}"/>')
    parts.append(f'<circle class="p-dot p-{style}" cx="{axis.x(value):g}" cy="{y}" r="4.5"/>')
    return parts


def _scale(axis: Axis, bottom: int, unit: str) -> list[str]:
    end = WIDTH - _RIGHT
    places = [(axis.x(value), number(value)) for value in nice_ticks(axis.low, axis.high)]
    marks = "".join(f"M{x:g} {bottom}v4" for x, _ in places)
    parts = [f'<path class="p-axis" d="M{_LEFT} {bottom}H{end}{marks}"/>']
    numbers = "".join(f'<text x="{x:g}" y="{bottom + 16}">{escape(words)}</text>' for x, words in places)
    parts.append(f'<g class="p-number">{numbers}</g>')
    if unit:
        parts.append(f'<text class="p-label" x="{end}" y="{bottom + 32}">{escape(unit)}</text>')
    return parts


def _in_words(view: ClaimView, rows: list[tuple[str, Result]]) -> str:
    words = [f"published {number(view.claim.published)}"] if view.claim.published is not None else []
    for name, result in rows:
        interval = interval_words(result)
        spread = f", 95 % interval {interval}" if interval else ""
        words.append(
            f"{name.replace('here', 'measured here')} {number(result.value, result.low, result.high)}{spread}"
        )
    if view.rule_words:
        words.append(f"counts as holding {view.rule_words}")
    words += [f"in {view.claim.unit}"] if view.claim.unit else []
    return "; ".join(words)
