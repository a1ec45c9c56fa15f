"""Seeds that nobody looked at while a study was designed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from broadsheet.claims import Run

__all__ = ["fresh_seed"]

_SEEN = 100


def fresh_seed(run: Run, seed: int) -> int:
    """Return the seed to train with for a seed of the run.

    Lengths, widths and rates of a small study are chosen while looking at seeds 0, 1, …: what such a choice happens to
    suit would look like a result. From laptop scale on, studies therefore train with seeds beyond those.

    Args:
        run: The run.
        seed: One of its seeds, in [0, 100).

    Returns:
        The same seed at smoke scale, where nothing is concluded, else 100 more.

    Raises:
        ValueError: if the seed is out of range.

    Example:
        >>> from broadsheet.lab import local_run
        >>> fresh_seed(local_run("smoke"), 0), fresh_seed(local_run("laptop"), 0)
        (0, 100)
    """
    if not 0 <= seed < _SEEN:
        raise ValueError(f"seed must be in [0, {_SEEN}): those beyond are kept for measuring, got {seed!r}")
    return run.pick(smoke=seed, laptop=seed + _SEEN, paper=seed + _SEEN)
