"""The contract between a paper and everybody else.

A paper's ``claims.py`` declares what the paper claims and how we measure it::

    from broadsheet.claims import Measured, Run, claim, within

    @claim(
        "A fair coin lands heads **0.5** of the time",
        published=0.5, unit="share of throws", where="Table 1", kind="exact",
        holds=within(absolute=0.02),
    )
    def heads(run: Run) -> Measured:
        '''Counts heads. The tolerance is four binomial standard errors at 10,000 throws.'''
        ...

The lab finds such functions, runs each in a process of its own, judges what it measured and keeps the
result. This module imports nothing of ours, and nothing heavy: the site and the command line read every
paper's claims without loading a single method.
"""

from __future__ import annotations

import enum
import inspect
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = [
    "Claim",
    "Kind",
    "Measured",
    "NeedsData",
    "NeedsHardware",
    "Rule",
    "Run",
    "Scale",
    "Verdict",
    "above",
    "at_least",
    "at_most",
    "below",
    "between",
    "claim",
    "within",
]

T = TypeVar("T")
Kind = Literal["exact", "scaled", "trend"]


class Scale(enum.StrEnum):
    """How much of the authors' experiment is repeated."""

    SMOKE = "smoke"
    """Seconds: does it work at all?"""
    LAPTOP = "laptop"
    """Minutes on two cores: does the effect show?"""
    PAPER = "paper"
    """What the authors used."""


class Verdict(enum.StrEnum):
    """What the lab concludes from a measurement. Computed, never written by hand."""

    REPRODUCED = "reproduced"
    HOLDS = "holds at this scale"
    NOT_REPRODUCED = "not reproduced"
    INCONCLUSIVE = "inconclusive"
    NEEDS_DATA = "needs data"
    NEEDS_HARDWARE = "needs other hardware"
    FAILED = "failed"


class NeedsData(Exception):
    """Data are absent and could not be fetched; the message says how to get them."""


class NeedsHardware(Exception):
    """The claim cannot be measured on this machine; the message says what it takes."""


@dataclass(frozen=True)
class Measured:
    """A measured value with its uncertainty and its unit.

    Args:
        value: What was measured, on the scale of the published value.
        low: Lower end of its 95 % interval over seeds or bootstrap resamples, or None.
        high: Upper end, or None. Both are given or neither.
        unit: The value's unit; the claim's own unit where it is empty.
        note: One sentence that the value alone does not tell, shown beside it.
        parts: Named numbers behind the value (per seed, per group), kept in the result.

    Raises:
        ValueError: if only one end of the interval is given or the ends are the wrong way round.

    Example:
        >>> Measured.over_seeds([0.9, 1.0, 1.1]).value
        1.0
    """

    value: float
    low: float | None = None
    high: float | None = None
    unit: str = ""
    note: str = ""
    parts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.low is None) != (self.high is None):
            raise ValueError(
                f"give both ends of the interval or neither, got low={self.low!r}, high={self.high!r}"
            )
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low must not exceed high, got low={self.low!r}, high={self.high!r}")

    @classmethod
    def over_seeds(
        cls,
        values: Iterable[float],
        *,
        unit: str = "",
        note: str = "",
        parts: Mapping[str, Any] | None = None,
    ) -> Measured:
        """Summarise one value per seed by its mean and Student-t 95 % interval.

        Args:
            values: One value per seed, at least one; with a single seed there is no interval.
            unit: Unit of the values.
            note: One sentence shown beside the value.
            parts: Named numbers to keep; the values themselves are kept under ``per_seed``.

        Returns:
            The mean and its interval.

        Raises:
            ValueError: if ``values`` is empty.
        """
        listed = [float(v) for v in values]
        if not listed:
            raise ValueError("values must hold at least one number, got none")
        n = len(listed)
        mean = math.fsum(listed) / n
        kept = {"per_seed": listed, **(parts or {})}
        if n == 1:
            return cls(mean, unit=unit, note=note, parts=kept)
        from scipy.stats import t as student_t

        spread = math.sqrt(math.fsum((v - mean) ** 2 for v in listed) / (n - 1))
        half = float(student_t.ppf(0.975, n - 1)) * spread / math.sqrt(n)
        return cls(mean, mean - half, mean + half, unit=unit, note=note, parts=kept)


@dataclass(frozen=True)
class Rule:
    """The set of values that count as the claim holding: ``low <= value <= high``.

    Args:
        low: Smallest accepted value (minus infinity: no bound).
        high: Largest accepted value.
        words: The rule as a person reads it, after "counts as holding if the value is …".
        open_ends: Whether the bounds themselves are refused.
        relative: Half-width as a share of the published value; the bounds are then filled in by the claim.
        absolute: Half-width in the claim's unit, likewise.
    """

    low: float = -math.inf
    high: float = math.inf
    words: str = ""
    open_ends: bool = False
    relative: float | None = None
    absolute: float | None = None

    def around(self, published: float | None) -> Rule:
        """Return the rule with its bounds laid around the published value, where it needs one."""
        if self.relative is None and self.absolute is None:
            return self
        if published is None:
            raise ValueError(
                "within(...) needs a published value to lie around: give published=, or another rule"
            )
        half = self.absolute if self.absolute is not None else abs(published) * float(self.relative or 0.0)
        # One part in 1e12 so that a published 0.3 accepts a measured 0.1 + 0.2 at tolerance zero.
        slack = 1e-12 * max(1.0, abs(published))
        return Rule(published - half - slack, published + half + slack, self.words)

    def accepts(self, value: float) -> bool:
        """Tell whether ``value`` lies in the accepted set."""
        if self.open_ends:
            return self.low < value < self.high
        return self.low <= value <= self.high


def within(*, relative: float | None = None, absolute: float | None = None) -> Rule:
    """Accept values within a tolerance of the published one.

    Args:
        relative: Half-width as a share of the published value, >= 0.
        absolute: Half-width in the claim's unit, >= 0. Exactly one of the two is given.

    Returns:
        The rule.

    Raises:
        ValueError: if both or neither are given, or a width is negative.

    Example:
        >>> within(relative=0.02).around(0.047).accepts(0.0475)
        True
    """
    if (relative is None) == (absolute is None):
        raise ValueError(
            f"give relative= or absolute=, not both, got relative={relative!r}, absolute={absolute!r}"
        )
    width = relative if relative is not None else absolute
    if width is None or not width >= 0:
        raise ValueError(f"a tolerance must be >= 0, got {width!r}")
    words = (
        f"within {width:.3g} of the published value"
        if relative is None
        else (f"within {100 * width:.3g} % of the published value")
    )
    return Rule(words=words, relative=relative, absolute=absolute)


def at_least(bound: float) -> Rule:
    """Accept values of ``bound`` or more."""
    return Rule(low=bound, words=f"at least {bound:g}")


def at_most(bound: float) -> Rule:
    """Accept values of ``bound`` or less."""
    return Rule(high=bound, words=f"at most {bound:g}")


def above(bound: float) -> Rule:
    """Accept values greater than ``bound``: the rule of a direction, with ``bound`` as no effect."""
    return Rule(low=bound, words=f"above {bound:g}", open_ends=True)


def below(bound: float) -> Rule:
    """Accept values smaller than ``bound``."""
    return Rule(high=bound, words=f"below {bound:g}", open_ends=True)


def between(low: float, high: float) -> Rule:
    """Accept values from ``low`` to ``high``.

    Raises:
        ValueError: if ``low`` exceeds ``high``.
    """
    if not low <= high:
        raise ValueError(f"low must not exceed high, got low={low!r}, high={high!r}")
    return Rule(low, high, f"between {low:g} and {high:g}")


class Run(Protocol):
    """What a claim is handed when it is measured: scale, seeds, progress, figures, tables, data, a cache.

    The lab implements it; a test or a notebook can get one from ``broadsheet.lab.local_run``.
    """

    scale: Scale
    seeds: tuple[int, ...]
    cache_dir: Path

    def pick(self, *, smoke: T, laptop: T, paper: T) -> T:
        """Return the argument that belongs to this run's scale."""
        ...

    def rng(self, seed: int | None = None) -> np.random.Generator:
        """Return a generator for ``seed`` (default: the first seed of the run)."""
        ...

    def say(self, text: str) -> None:
        """Tell whoever watches what is being done now."""
        ...

    def progress(self, steps: Iterable[T], *, total: int | None = None, label: str = "") -> Iterator[T]:
        """Yield ``steps`` one by one and show how far they are."""
        ...

    def figure(
        self,
        name: str,
        draw: Callable[[Figure], None],
        *,
        caption: str,
        table: pd.DataFrame | None = None,
        size: tuple[float, float] = (7.0, 4.0),
    ) -> None:
        """Draw a figure in the house style, light and dark, as SVG and PNG.

        Args:
            name: Its file name without ending: lower-case words joined by hyphens.
            draw: Draws on an empty figure; called once for each of the two styles, so it must not compute.
            caption: One sentence, shown below and read by screen readers.
            table: The same data as a table, one click away from the figure.
            size: Width and height in inches.
        """
        ...

    def table(self, name: str, frame: pd.DataFrame, *, caption: str) -> None:
        """Keep a table beside the result."""
        ...

    def data(self, name: str) -> Path:
        """Return the local path of registered data, fetched where it is absent.

        Raises:
            NeedsData: if it is absent and cannot be fetched.
        """
        ...

    def cached(self, key: str, compute: Callable[[], T]) -> T:
        """Return what ``compute`` gave for ``key`` in an earlier, interrupted run, or compute and keep it.

        The value must be made of JSON types. Entries live as long as the claim's code is unchanged.
        """
        ...


ClaimFunction = Callable[[Run], Measured]


@dataclass(frozen=True, eq=False)  # a claim is itself and no other: usable as a key
class Claim:
    """A declared claim: what the paper says, where, and how we measure it. Made by :func:`claim`.

    Calling it calls the measuring function.
    """

    id: str
    title: str
    published: float | None
    unit: str
    where: str
    kind: Kind
    holds: Rule
    function: ClaimFunction
    no_effect: float | None = None
    data: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    scales: tuple[Scale, ...] = tuple(Scale)
    seeds: Mapping[Scale, int] = field(default_factory=dict)
    minutes: Mapping[Scale, float] = field(default_factory=dict)
    memory_gb: float = 4.0

    def __call__(self, run: Run) -> Measured:
        """Measure the claim, without limits and without a verdict."""
        return self.function(run)

    @property
    def why(self) -> str:
        """What is measured and why this counts as holding: the measuring function's docstring."""
        return inspect.getdoc(self.function) or ""

    @property
    def rule(self) -> Rule:
        """The accepted values, laid around the published one where the rule asks for it."""
        return self.holds.around(self.published)


_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_DEFAULT_MINUTES = {Scale.SMOKE: 2.0, Scale.LAPTOP: 30.0, Scale.PAPER: 7 * 24 * 60.0}


def _by_scale(name: str, given: Mapping[str, T] | None) -> dict[Scale, T]:
    try:
        return {Scale(key): value for key, value in (given or {}).items()}
    except ValueError as error:
        raise ValueError(
            f"{name} takes the scales {', '.join(Scale)} as keys, got {list(given or {})!r}"
        ) from error


def claim(
    title: str,
    *,
    published: float | None,
    unit: str,
    where: str,
    kind: Kind,
    holds: Rule,
    no_effect: float | None = None,
    data: Iterable[str] = (),
    needs: Iterable[str] = (),
    scales: Iterable[str] = tuple(Scale),
    seeds: Mapping[str, int] | None = None,
    minutes: Mapping[str, float] | None = None,
    memory_gb: float = 4.0,
) -> Callable[[ClaimFunction], Claim]:
    """Declare the decorated function as the measurement of a claim.

    The function's name, with hyphens, is the claim's id; its docstring says what is measured and why the
    tolerance is what it is.

    Args:
        title: The claim as one sentence that stands for itself.
        published: The published value, or None where the paper states a direction without a number.
        unit: Unit of the published and the measured value; "" for a pure number.
        where: Table, figure, section or equation of the paper.
        kind: ``exact``: the published number itself is derived again. ``scaled``: the same effect on a
            smaller problem. ``trend``: a direction or an ordering.
        holds: Which values count as the claim holding.
        no_effect: The value that means "no effect" (0 for a difference, 1 for a ratio): an interval that
            contains it is inconclusive.
        data: Names in the data registry that the measurement reads.
        needs: Extras that must be installed (``torch``, ``llm``), or ``gpu``.
        scales: The scales at which the claim can be measured.
        seeds: Number of seeds at a scale; 1 where it is not given.
        minutes: Time limit at a scale; 2, 30 and 10,080 where it is not given.
        memory_gb: Memory limit of the process, GB (1e9 bytes).

    Returns:
        A decorator that turns the function into a :class:`Claim`.

    Raises:
        ValueError: if a declaration is incomplete or contradicts itself.
    """
    if not title.strip() or title != title.strip():
        raise ValueError(f"title must be a sentence without space around it, got {title!r}")
    if kind not in ("exact", "scaled", "trend"):
        raise ValueError(f"kind must be exact, scaled or trend, got {kind!r}")
    if kind == "exact" and published is None:
        raise ValueError(
            f"an exact claim derives a published number again: published= is missing for {title!r}"
        )
    if not where.strip():
        raise ValueError(f"where must name a table, figure, section or equation of the paper, got {where!r}")
    if not memory_gb > 0:
        raise ValueError(f"memory_gb must be > 0, got {memory_gb!r}")
    holds.around(published)
    try:
        at = tuple(Scale(s) for s in scales)
    except ValueError as error:
        raise ValueError(f"scales must be among {', '.join(Scale)}, got {tuple(scales)!r}") from error
    if not at:
        raise ValueError("scales must name at least one scale, got none")

    def declare(function: ClaimFunction) -> Claim:
        name = function.__name__
        if not _NAME.fullmatch(name):
            raise ValueError(f"a claim's function is named in lower_case, got {name!r}")
        return Claim(
            id=name.replace("_", "-"),
            title=title,
            published=published,
            unit=unit,
            where=where,
            kind=kind,
            holds=holds,
            function=function,
            no_effect=no_effect,
            data=tuple(data),
            needs=tuple(needs),
            scales=at,
            seeds=dict.fromkeys(Scale, 1) | _by_scale("seeds", seeds),
            minutes=_DEFAULT_MINUTES | _by_scale("minutes", minutes),
            memory_gb=memory_gb,
        )

    return declare
