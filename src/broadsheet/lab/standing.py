"""Which of a claim's results speaks for it: on a page, in a report, on the command line."""

from __future__ import annotations

from collections.abc import Iterable

from broadsheet.claims import Scale
from broadsheet.lab.store import Result

__all__ = ["standing"]

_RANK = {scale: rank for rank, scale in enumerate(Scale)}


def standing(here: Iterable[Result], ours: Result | None = None) -> Result | None:
    """Return the result that speaks for a claim: that of the largest scale at which it was measured.

    A check at smoke scale says nothing against a measurement at laptop scale, and an attempt that failed
    nothing against any.

    Args:
        here: What was measured on this machine, newest first.
        ours: Our reference, or None.

    Returns:
        Of one scale, the newest result of this machine before our reference; where nothing was measured, the
        newest attempt; None where there is neither.

    Example:
        >>> from broadsheet.claims import Verdict
        >>> smoke = Result("a/b", "c", Scale.SMOKE, (0,), Verdict.INCONCLUSIVE, "", 0.4)
        >>> laptop = Result("a/b", "c", Scale.LAPTOP, (0,), Verdict.HOLDS, "", 0.5)
        >>> standing([smoke], laptop).value
        0.5
    """
    every = [*here, *([ours] if ours is not None else [])]
    measured = [result for result in every if result.is_measurement]
    if not measured:
        return every[0] if every else None
    # Of equals max returns the first.
    return max(measured, key=lambda result: _RANK[result.scale])
