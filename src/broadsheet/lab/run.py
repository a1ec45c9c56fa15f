"""What a claim is handed when it is measured: the lab's :class:`LabRun`, and one for notebooks and tests."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from broadsheet.claims import Run, Scale
from broadsheet.lab.store import Picture, TableFile, clean, write_atomically

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["LabRun", "local_run"]

T = TypeVar("T")
Watch = Callable[[Mapping[str, Any]], None]
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PAUSE = 0.1  # seconds between two messages about progress


class LabRun:
    """A run of one claim: implements :class:`broadsheet.claims.Run`.

    Args:
        scale: The scale.
        seeds: The seeds.
        out: Folder for figures and tables; made when the first is drawn.
        cache_dir: Folder that the claim may use as it likes; it is kept while the claim's code is unchanged.
        watch: Told what is being done and how far it is.
        find_data: Returns the path of registered data; default :func:`broadsheet.data.fetch`.
    """

    def __init__(
        self,
        scale: Scale,
        seeds: Sequence[int],
        out: Path,
        cache_dir: Path,
        watch: Watch | None = None,
        find_data: Callable[[str], Path] | None = None,
    ) -> None:
        self.scale = Scale(scale)
        self.seeds = tuple(seeds)
        self.cache_dir = cache_dir
        self.out = out
        self.pictures: list[Picture] = []
        self.tables: list[TableFile] = []
        self._watch = watch or (lambda _message: None)
        self._find_data = find_data
        self._loops: list[tuple[int, int | None, str]] = []  # done, total, label of the loops under way
        self._told = 0.0

    def pick(self, *, smoke: T, laptop: T, paper: T) -> T:
        """Return the argument that belongs to this run's scale."""
        return {Scale.SMOKE: smoke, Scale.LAPTOP: laptop, Scale.PAPER: paper}[self.scale]

    def rng(self, seed: int | None = None) -> np.random.Generator:
        """Return a generator for ``seed`` (default: the first seed of the run)."""
        import numpy as np

        return np.random.default_rng(self.seeds[0] if seed is None else seed)

    def say(self, text: str) -> None:
        """Tell whoever watches what is being done now."""
        self._watch({"say": str(text)[:2000]})

    def progress(self, steps: Iterable[T], *, total: int | None = None, label: str = "") -> Iterator[T]:
        """Yield ``steps`` one by one and show how far they are; loops may stand inside one another."""
        if total is None and isinstance(steps, Sized):
            total = len(steps)
        depth = len(self._loops)
        self._loops.append((0, total, label))
        try:
            self._tell(force=True)
            for done, step in enumerate(steps, 1):
                yield step
                del self._loops[depth + 1 :]
                self._loops[depth] = (done, total, label)
                self._tell(force=done == total)
        finally:
            del self._loops[depth:]

    def _tell(self, *, force: bool) -> None:
        now = time.monotonic()
        if force or now - self._told >= _PAUSE:
            self._told = now
            done, total, _ = self._loops[0]
            labels = [label for _, _, label in self._loops if label]
            steps, of = 0, 1  # counted in steps of the innermost loop whose length is known
            for part, whole, _ in self._loops:
                if not whole:
                    break
                steps, of = steps * whole + part, of * whole
            known = bool(total)
            message = {"done": done, "of": total, "label": ", ".join(labels)}
            self._watch(message | {"fraction": min(steps / of, 1.0) if known else None})

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

        Raises:
            ValueError: if the name or caption is missing, or another figure has that name.
        """
        from broadsheet.lab import figures

        self._check(name, caption, [picture.name for picture in self.pictures], "figure")
        self.out.mkdir(parents=True, exist_ok=True)
        files = figures.save(draw, self.out, name, size=size)
        csv = None
        if table is not None:
            csv = f"{name}.csv"
            table.to_csv(self.out / csv, index=_has_index(table))
        self.pictures.append(Picture(name, caption, files, csv))
        self._watch({"figure": name})

    def table(self, name: str, frame: pd.DataFrame, *, caption: str) -> None:
        """Keep a table beside the result.

        Raises:
            ValueError: if the name or caption is missing, or another table has that name.
        """
        self._check(name, caption, [table.name for table in self.tables], "table")
        self.out.mkdir(parents=True, exist_ok=True)
        file = f"table-{name}.csv"
        frame.to_csv(self.out / file, index=_has_index(frame))
        self.tables.append(TableFile(name, caption, file))

    def _check(self, name: str, caption: str, others: list[str], what: str) -> None:
        if not _NAME.fullmatch(name) or len(name) > 80:
            raise ValueError(f"a {what}'s name must be lower-case words joined by hyphens, got {name!r}")
        if not caption.strip():
            raise ValueError(f"{what} {name!r} needs a caption: one sentence for those who cannot see it")
        if name in others:
            raise ValueError(f"there are two {what}s named {name!r}: name one of them otherwise")

    def data(self, name: str) -> Path:
        """Return the local path of registered data, fetched where it is absent.

        Raises:
            NeedsData: if it is absent and cannot be fetched.
            broadsheet.data.UnknownData: if no paper declares it.
        """
        if self._find_data is not None:
            return self._find_data(name)
        from broadsheet import data

        return data.fetch(name)

    def cached(self, key: str, compute: Callable[[], T]) -> T:
        """Return what ``compute`` gave for ``key`` in an earlier, interrupted run, or compute and keep it.

        The value must be made of JSON types. Entries live until the claim has been measured, or until its
        code, scale or seeds change.

        Raises:
            TypeError: if the value is not made of JSON types.
        """
        file = self._cached_folder() / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
        try:
            kept = json.loads(file.read_bytes())
            if kept["key"] == key:
                value: T = kept["value"]
                return value
        except (OSError, ValueError, KeyError, TypeError):
            pass  # absent, or damaged by hand: computed again
        made = compute()
        try:
            text = json.dumps({"key": key, "value": made})
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"cached({key!r}) must be given JSON types, got {type(made).__name__}: {error}"
            ) from error
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, text)
        except OSError as error:  # an entry only saves time: the measurement goes on without it
            self.say(f"cannot keep the part {key!r}: {error.strerror or error}")
        value = json.loads(text)["value"]  # the same types whether it was kept or not
        return value

    def _cached_folder(self) -> Path:
        return cached_folder(self.cache_dir, self.scale, self.seeds)


def cached_folder(cache_dir: Path, scale: Scale, seeds: Sequence[int]) -> Path:
    """Return where the entries of ``run.cached`` for a scale and seeds lie."""
    mark = hashlib.sha256(repr(clean(list(seeds))).encode()).hexdigest()[:8]
    return cache_dir / ".cached" / f"{scale}-{len(seeds)}-{mark}"


def _has_index(frame: pd.DataFrame) -> bool:
    """Whether the index says anything: a plain count of rows is left out of a table."""
    import pandas as pd

    return not (isinstance(frame.index, pd.RangeIndex) and frame.index.name is None)


def local_run(
    scale: Scale | str = Scale.SMOKE, seeds: int | Sequence[int] = 1, out: Path | str | None = None
) -> Run:
    """Return a run for notebooks and tests: no process of its own, no limits, nothing stored.

    Args:
        scale: The scale.
        seeds: How many seeds, counted from 0, or the seeds themselves.
        out: Folder for figures and tables; a temporary one by default.

    Returns:
        The run; hand it to a claim: ``claim(local_run())``.

    Raises:
        ValueError: if the scale is unknown or there are no seeds.

    Example:
        >>> run = local_run("smoke", seeds=2)
        >>> run.pick(smoke=10, laptop=1000, paper=100_000), run.seeds
        (10, (0, 1))
    """
    try:
        chosen = Scale(scale)
    except ValueError as error:
        raise ValueError(f"scale must be one of {', '.join(Scale)}, got {scale!r}") from error
    listed = tuple(range(seeds)) if isinstance(seeds, int) else tuple(int(seed) for seed in seeds)
    if not listed:
        raise ValueError(f"seeds must be at least 1, got {seeds!r}")
    folder = Path(tempfile.mkdtemp(prefix="broadsheet-run-")) if out is None else Path(out)
    run = LabRun(chosen, listed, folder, folder / "cache")
    if out is None:
        weakref.finalize(run, shutil.rmtree, folder, ignore_errors=True)
    return run
