"""PassUntil: sample every item until it has passed often enough, or the cap is reached."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from broadsheet.methods.scaling.pass_until.estimator import pass_rate, pass_rate_interval

__all__ = ["CheckerError", "PassUntil", "dataset_pass_rate"]

Sampler = Callable[[str, int, int], list[str]]
Checker = Callable[[Mapping[str, Any], str], bool]
_BLOCK = (
    64  # samples per call of a plain callable, whatever the batch size, so that it cannot change a result
)
_FIRST = 32  # samples of the first batch of an item: easy items need no more


class CheckerError(RuntimeError):
    """The checker raised; the message names the item."""


class PassUntil:
    """Measures pass rates down to about one in the cap, item by item.

    Args:
        sampler: A callable ``(prompt, n, seed) -> n texts``, or an object with ``sample(prompt, first, count, seed)``
            such as :class:`HFSampler`.
        checker: ``(item, text) -> bool``: whether the text passes.
        r: Passes to wait for, >= 1; more passes give less variance.
        max_samples: Cap on the samples of an item, >= r.
        batch_size: Samples drawn at once at most; it does not change the result.
        seed: Seed of all items; sample k of an item is the same whatever else is run.
        on_error: ``"raise"`` stops when the checker raises; ``"fail"`` counts the sample as a fail.
        remember: Whether a text that was checked is not checked again for its item.
        chance: What to do with items that declare a ``chance`` of guessing right above 0: ``"refuse"``, or
            ``"subtract"``: rates become ``(p - chance) / (1 - chance)``, not below 0.
        level: Level of the intervals.

    Raises:
        ValueError: if an argument is out of range, or the sampler has temperature 0.

    Source:
        The definition of PassUntil.

    Example:
        >>> coin = lambda prompt, n, seed: list(np.random.default_rng(seed).choice(["heads", "tails"], n))
        >>> until = PassUntil(coin, lambda item, text: text == item["answer"], r=50)
        >>> table = until.run([{"id": "coin", "prompt": "Toss.", "answer": "heads"}])
        >>> bool(table.lower[0] < 0.5 < table.upper[0])
        True
    """

    def __init__(
        self,
        sampler: Sampler,
        checker: Checker,
        r: int = 1,
        max_samples: int = 100_000,
        batch_size: int = 256,
        *,
        seed: int = 0,
        on_error: Literal["raise", "fail"] = "raise",
        remember: bool = True,
        chance: Literal["refuse", "subtract"] = "refuse",
        level: float = 0.95,
    ) -> None:
        if r < 1 or r != int(r):
            raise ValueError(f"r must be a whole number >= 1, got {r!r}")
        if max_samples < r:
            raise ValueError(
                f"max_samples must be at least r={r}, got {max_samples!r}: r passes could not be seen"
            )
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size!r}")
        if on_error not in ("raise", "fail"):
            raise ValueError(f"on_error must be 'raise' or 'fail', got {on_error!r}")
        if chance not in ("refuse", "subtract"):
            raise ValueError(f"chance must be 'refuse' or 'subtract', got {chance!r}")
        if not 0.0 < level < 1.0:
            raise ValueError(f"level must lie between 0 and 1, got {level!r}")
        if getattr(sampler, "temperature", 1.0) == 0:
            raise ValueError(
                "sampler.temperature is 0: every sample of a prompt is the same, so an item that fails once is drawn "
                "until the cap; sample at a temperature above 0"
            )
        self.sampler, self.checker = sampler, checker
        self.r, self.max_samples, self.batch_size = int(r), int(max_samples), int(batch_size)
        self.seed, self.on_error, self.remember = seed, on_error, remember
        self.chance, self.level = chance, level

    @property
    def settings(self) -> dict[str, Any]:
        """What the numbers of a table depend on, besides model, items and checker."""
        own = {"r": self.r, "max_samples": self.max_samples, "seed": self.seed, "chance": self.chance}
        return {**own, "level": self.level, **getattr(self.sampler, "settings", {})}

    def run(
        self,
        items: pd.DataFrame | Iterable[Mapping[str, Any]],
        *,
        journal: str | Path | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> pd.DataFrame:
        """Sample all items.

        Args:
            items: A mapping or row per item: ``prompt``, what the checker reads, and optionally ``id`` (default: its
                place) and ``chance``.
            journal: A file to which every finished item is written at once; a later run with the same file and settings
                goes on where it stopped.
            progress: Called with items done and all items.

        Returns:
            A row per item: ``item``, ``r`` (passes seen), ``K`` (samples used), ``capped``, ``p_mle``, ``p_unbiased``,
            ``lower``, ``upper`` and ``temperature`` (NaN where the sampler names none). Items without a pass stay in.

        Raises:
            ValueError: if there is no item, ids repeat, a prompt is missing, a chance above 0 is declared without
                ``chance="subtract"``, the sampler returns another number of texts, or the journal is of other settings.
            CheckerError: if the checker raises and ``on_error`` is ``"raise"``.
        """
        listed = self._items(items)
        done = self._read(Path(journal)) if journal is not None else {}
        rows = []
        for number, (name, item) in enumerate(listed):
            if name not in done:
                seen, used = self._sample(name, item)
                done[name] = {"item": name, "r": seen, "K": used, "capped": seen < self.r}
                if journal is not None:
                    with Path(journal).open("a", encoding="utf-8") as file:
                        file.write(json.dumps(done[name]) + "\n")
            rows.append({**done[name], "chance": float(item.get("chance", 0.0))})
            if progress is not None:
                progress(number + 1, len(listed))
        return self._table(rows)

    def _items(
        self, items: pd.DataFrame | Iterable[Mapping[str, Any]]
    ) -> list[tuple[str, Mapping[str, Any]]]:
        rows: Any = items.to_dict("records") if isinstance(items, pd.DataFrame) else list(items)
        if not rows:
            raise ValueError("items must hold at least one item, got none")
        named = [(str(item.get("id", place)), item) for place, item in enumerate(rows)]
        twice = pd.Series([name for name, _ in named]).duplicated()
        if twice.any():
            raise ValueError(
                f"the id {named[int(np.argmax(twice))][0]!r} stands there twice; ids must differ"
            )
        for name, item in named:
            if not isinstance(item.get("prompt"), str):
                raise ValueError(f"item {name!r}: prompt must be a text, got {item.get('prompt')!r}")
            guess = float(item.get("chance", 0.0))
            if not 0.0 <= guess < 1.0:
                raise ValueError(f"item {name!r}: chance must lie in [0, 1), got {guess!r}")
            if guess > 0.0 and self.chance == "refuse":
                raise ValueError(
                    f"item {name!r} can be guessed with chance {guess:g}: its pass rate has a floor that the scaling "
                    "law does not know; give chance='subtract', or ask for a free answer"
                )
        return named

    def _sample(self, name: str, item: Mapping[str, Any]) -> tuple[int, int]:
        """Return passes and samples of one item; the last sample counted is the r-th pass, not a batch's end."""
        known: dict[str, bool] = {}
        passes = used = 0
        for text in self._texts(name, str(item["prompt"])):
            used += 1
            verdict = known.get(text) if self.remember else None
            if verdict is None:
                verdict = known[text] = self._check(name, item, text)
            passes += verdict
            if passes == self.r or used == self.max_samples:
                break
        return passes, used

    def _texts(self, name: str, prompt: str) -> Iterator[str]:
        """Yield samples by index, in growing batches."""
        seed = _seed(self.seed, name)
        by_index = getattr(self.sampler, "sample", None)
        first, size = 0, min(_FIRST, self.batch_size)
        while True:
            if by_index is not None:
                size = min(size, self.max_samples - first)
                texts = by_index(prompt, first, size, seed)
            else:
                size = _BLOCK
                texts = self.sampler(prompt, size, _seed(seed, str(first // _BLOCK)))
            if len(texts) != size:
                raise ValueError(
                    f"item {name!r}: the sampler returned {len(texts)} texts, {size} were asked for"
                )
            yield from texts
            first += size
            size = min(2 * size, self.batch_size)

    def _check(self, name: str, item: Mapping[str, Any], text: str) -> bool:
        try:
            return bool(self.checker(item, text))
        except Exception as error:
            if self.on_error == "fail":
                return False
            raise CheckerError(
                f"item {name!r}: the checker raised {type(error).__name__}: {error} for the text {text[:80]!r}; mend "
                "it, or count such samples as fails with on_error='fail'"
            ) from error

    def _read(self, journal: Path) -> dict[str, dict[str, Any]]:
        """Return the finished items of a journal, which is begun where there is none."""
        settings = json.loads(json.dumps(self.settings))
        if not journal.exists():
            journal.parent.mkdir(parents=True, exist_ok=True)
            journal.write_text(json.dumps({"settings": settings}) + "\n", encoding="utf-8")
            return {}
        whole, _, half = journal.read_text(encoding="utf-8").rpartition("\n")
        if half:  # a line cut off when the process was stopped
            journal.write_text(whole + "\n" if whole else "", encoding="utf-8")
        lines = [json.loads(line) for line in whole.splitlines()]
        before = lines[0].get("settings") if lines else None
        if before != settings:
            other = sorted(k for k in settings if (before or {}).get(k) != settings[k])
            raise ValueError(
                f"{journal} was written with other settings ({', '.join(other) or 'unknown'}); take another file"
            )
        return {row["item"]: row for row in lines[1:]}

    def _table(self, rows: list[dict[str, Any]]) -> pd.DataFrame:
        table = pd.DataFrame(rows)
        guess = table.pop("chance").to_numpy()
        counts = (table["r"].to_numpy(), table["K"].to_numpy(), table["capped"].to_numpy())
        low, high = pass_rate_interval(*counts, level=self.level)
        columns = {
            "p_mle": pass_rate(*counts),
            "p_unbiased": pass_rate(*counts, method="unbiased"),
            "lower": low,
            "upper": high,
        }
        for name, values in columns.items():
            table[name] = np.maximum(0.0, (values - guess) / (1.0 - guess))
        table["temperature"] = float(getattr(self.sampler, "temperature", np.nan))
        table.attrs["settings"] = self.settings
        return table


def dataset_pass_rate(
    table: pd.DataFrame,
    N: float | None = None,
    *,
    estimate: str = "p_mle",
    items: Literal["fixed", "resampled"] = "fixed",
    level: float = 0.95,
    n_draws: int = 4000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Average the items of a table into the value of the data set.

    Args:
        table: What :meth:`PassUntil.run` returned, without items that can be guessed.
        N: Parameters of the model, kept beside the value.
        estimate: ``"p_mle"`` or ``"p_unbiased"``.
        items: ``"fixed"``: the interval tells how well these items were measured. ``"resampled"``: also how other items
            of the same kind would differ.
        level: In (0, 1).
        n_draws: Draws behind the interval.
        random_state: Seed of the draws.

    r/K averages too high, by much for r = 1 (see :func:`expected_mle`), and averaging over items does not mend it;
    ``"p_unbiased"`` with r >= 2 does. The interval of several items is laid around the unbiased mean whichever estimate
    is shown, and reaches to it. With r = 1 all that tells the mean without bias is how many items passed at the first
    sample: the interval is then that of this share, and wide.

    Returns:
        One row: ``N``, ``pu``, ``lower``, ``upper``, ``items``, ``passed`` (items with a pass), ``samples``.

    Raises:
        ValueError: if an argument is unknown, or unbiased values were asked for with r = 1.

    Source:
        The definition of PassUntil: the mean over items of P(s).
    """
    if items not in ("fixed", "resampled"):
        raise ValueError(f"items must be 'fixed' or 'resampled', got {items!r}")
    if estimate not in ("p_mle", "p_unbiased"):
        raise ValueError(f"estimate must be 'p_mle' or 'p_unbiased', got {estimate!r}")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, got {level!r}")
    values = table[estimate].to_numpy(float)
    if np.isnan(values).any():
        raise ValueError("p_unbiased is undefined for items that waited for one pass only; run with r >= 2")
    rng = np.random.default_rng(random_state)
    shape = (n_draws, len(table))
    taken = np.arange(len(table)) if items == "fixed" else rng.integers(0, len(table), shape)
    tail = 0.5 * (1.0 - level)
    if len(table) > 1 and (table.loc[~table["capped"].astype(bool), "r"] == 1).all():
        ends = _first_sample_interval(table, tail)
    else:
        ends = _mean_interval(table, np.broadcast_to(taken, shape), tail, rng)
    middle = float(values.mean())
    ends = min(ends[0], middle), max(ends[1], middle)
    row = {
        "N": np.nan if N is None else float(N),
        "pu": middle,
        "lower": ends[0],
        "upper": ends[1],
    }
    seen = table["r"].to_numpy() > 0
    counts = {"items": len(table), "passed": int(seen.sum()), "samples": int(table["K"].sum())}
    return pd.DataFrame([{**row, **counts}])


def _first_sample_interval(table: pd.DataFrame, tail: float) -> tuple[float, float]:
    """Return the exact interval of the share of items that pass at the first sample, whose expectation is the mean."""
    passed = (table["K"].to_numpy() == 1) & (table["r"].to_numpy() > 0)
    hits, count = int(passed.sum()), len(table)
    low = 0.0 if hits == 0 else float(stats.beta.ppf(tail, hits, count - hits + 1))
    high = 1.0 if hits == count else float(stats.beta.ppf(1.0 - tail, hits + 1, count - hits))
    return low, high


def _mean_interval(
    table: pd.DataFrame, taken: NDArray[np.int64], tail: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the ends of the interval of the mean, from draws of the items' own uncertainty."""
    r, k, cut = (table[c].to_numpy() for c in ("r", "K", "capped"))
    room = k - r
    low = np.where(r > 0, rng.beta(np.maximum(r, 1), room + 1, taken.shape), 0.0)
    high = np.where(room > 0, rng.beta(np.where(cut, r + 1, r), np.maximum(room, 1), taken.shape), 1.0)
    # Around (r - 1)/(K - 1) the errors of many items average out, so each is drawn around that value, with the variance
    # that is estimated without bias, v (1 - v)/(K - 2). A single item and items that all passed at once keep their
    # exact distributions, one for the lower end and one for the upper.
    reached = ~cut.astype(bool) & (len(table) > 1) & bool((room > 0).any())
    unbiased = np.where(reached & (k > 1), (r - 1.0) / np.maximum(k - 1.0, 1.0), 1.0)
    size = np.maximum(k - 3.0, 0.01)
    inner = np.clip(unbiased, 1e-9, 1.0 - 1e-9)
    around = np.where(unbiased < 1.0, rng.beta(size * inner, size * (1.0 - inner), taken.shape), 1.0)
    low, high = np.where(reached, around, low), np.where(reached, around, high)
    means = [np.take_along_axis(drawn, taken, axis=1).mean(axis=1) for drawn in (low, high)]
    return float(np.quantile(means[0], tail)), float(np.quantile(means[1], 1.0 - tail))


def _seed(seed: int, name: str) -> int:
    digest = hashlib.blake2b(f"{seed}|{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
