"""Measures claims one after the other or side by side, and keeps every result the moment it is there."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Protocol

import broadsheet
from broadsheet import places
from broadsheet.claims import Claim, Scale, Verdict
from broadsheet.lab.catalogue import BrokenPaper, Paper
from broadsheet.lab.judge import judge
from broadsheet.lab.limited import Job, Outcome, Stopped, Watch, run_limited
from broadsheet.lab.markup import printable
from broadsheet.lab.progress import Clock, Event, Kind, StateFile, running
from broadsheet.lab.run import cached_folder
from broadsheet.lab.store import DiskFull, Result, Store, StoreError
from broadsheet.rooms import BrokenFile

__all__ = ["Executor", "LocalExecutor", "measure"]


class Executor(Protocol):
    """Where claims are measured.

    Attributes:
        slots: How many claims it measures side by side.
    """

    slots: int

    def run(self, job: Job, paper: Paper, watch: Watch, stopped: Callable[[], bool]) -> Outcome:
        """Measure one claim; figures and tables end up in ``job.out``.

        Raises:
            Stopped: if it was cancelled.
        """
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


class LocalExecutor:
    """Measures claims on this machine.

    Args:
        slots: How many side by side. Claims that compare speeds want 1.
    """

    def __init__(self, slots: int = 1) -> None:
        if slots < 1:
            raise ValueError(f"jobs must be at least 1, got {slots}")
        self.slots = slots

    def run(self, job: Job, paper: Paper, watch: Watch, stopped: Callable[[], bool]) -> Outcome:
        """Measure one claim in a process of its own."""
        return run_limited(job, watch, stopped)

    def close(self) -> None:
        """Hold nothing."""


def measure(
    what: Iterable[Paper | tuple[Paper, Claim]],
    scale: Scale | str = Scale.SMOKE,
    seeds: int | Sequence[int] | None = None,
    *,
    again: bool = False,
    executor: str | Executor = "local",
    address: str | None = None,
    jobs: int = 1,
    on_event: Callable[[Event], None] | None = None,
    cancel: threading.Event | None = None,
    store: Store | None = None,
    fetch: bool = True,
) -> list[Result]:
    """Measure claims, each in a process of its own, and store what came of each at once.

    A claim that was measured before with the same scale, seeds and code is not measured again unless asked.
    A claim that fails, whatever the way, does not stop the others. When this process is killed, the claim
    dies with it, and the next call measures what is missing.

    Args:
        what: Papers, for all their claims, or pairs of a paper and a claim.
        scale: The scale; claims that have not got it are skipped.
        seeds: How many seeds, counted from 0, or the seeds themselves; by default what a claim declares.
        again: Measure also what has been measured.
        executor: ``local``, ``ray``, or an executor of your own.
        address: Address of the Ray cluster; by default one is found or started here.
        jobs: How many claims are measured side by side on this machine.
        on_event: Told what happens, from one thread at a time. An exception that it raises ends the
            measurement.
        cancel: Set it from another thread to end the measurement; what has been measured is kept.
        store: Where results are kept; default the results folder of this machine.
        fetch: Whether absent data may be downloaded; their licence and size are told first.

    Returns:
        The results, measured now or before, in the order of ``what``. A claim that lacks data or hardware
        has a result that says so and is not stored.

    Raises:
        ValueError: if the scale or the seeds make no sense.
        StoreError: if a result is needed that is not there and results cannot be written, before anything is
            measured; as :class:`~broadsheet.lab.store.DiskFull` if the disk ran full while a claim was measured,
            once the others have had their turn.
        KeyboardInterrupt: at Ctrl-C, after the running claims have been ended.
    """
    try:
        at = Scale(scale)
    except ValueError as error:
        raise ValueError(f"scale must be one of {', '.join(Scale)}, got {scale!r}") from error
    _check_seeds(seeds)
    if not hasattr(os, "fork"):
        raise OSError(
            "claims are measured on Linux and macOS; on Windows use the Windows Subsystem for Linux"
        )
    store = store or Store()
    running()  # clears away what killed processes left
    teller = _Teller(on_event)
    work = _listed(what, teller)
    teller.count = len(work)
    place = _executor(executor, address, jobs)
    one = _Measurer(store, at, seeds, again, place, teller, cancel or threading.Event(), fetch)
    try:
        _make_ready(store, one, work)
        results = _all(one, work, place.slots)
        if one.full:
            raise one.full[0]
        return results
    finally:
        place.close()


def _make_ready(store: Store, one: _Measurer, work: list[tuple[Paper, Claim]]) -> None:
    try:
        store.check()
        store.sweep()
    except StoreError:
        # Results that may only be read can still be asked for.
        if not all(one.is_known(paper, claim) for paper, claim in work):
            raise


def _check_seeds(seeds: int | Sequence[int] | None) -> None:
    wrong = seeds < 1 if isinstance(seeds, int) else seeds is not None and not all(s >= 0 for s in seeds)
    if wrong or (seeds is not None and not isinstance(seeds, int) and not seeds):
        raise ValueError(f"seeds must be at least 1, or a list of numbers >= 0, got {seeds!r}")


def _executor(executor: str | Executor, address: str | None, jobs: int) -> Executor:
    if not isinstance(executor, str):
        return executor
    if executor == "local":
        return LocalExecutor(jobs)
    if executor == "ray":
        from broadsheet.lab.ray_executor import RayExecutor

        return RayExecutor(address)
    raise ValueError(f"executor must be local or ray, got {executor!r}")


def _listed(what: Iterable[Paper | tuple[Paper, Claim]], teller: _Teller) -> list[tuple[Paper, Claim]]:
    work: list[tuple[Paper, Claim]] = []
    for item in what:
        if isinstance(item, tuple):
            work.append(item)
            continue
        try:
            work += [(item, claim) for claim in item.claims]
        except BrokenPaper as error:
            teller.tell("problem", item.key, "", text=str(error))
    return list(dict.fromkeys(work))


def _all(one: _Measurer, work: list[tuple[Paper, Claim]], slots: int) -> list[Result]:
    if slots == 1:
        results = [one.measure(n, paper, claim) for n, (paper, claim) in enumerate(work, 1)]
        return [result for result in results if result is not None]
    with ThreadPoolExecutor(slots, thread_name_prefix="claim") as pool:
        futures: list[Future[Result | None]] = [
            pool.submit(one.measure, n, paper, claim) for n, (paper, claim) in enumerate(work, 1)
        ]
        pending = set(futures)
        try:
            while pending:
                # A wait without end cannot be interrupted by Ctrl-C on every platform.
                done, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
        except BaseException:
            one.cancel.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [result for future in futures if (result := future.result()) is not None]


class _Teller:
    """Hands events to the callback, from one thread at a time."""

    def __init__(self, on_event: Callable[[Event], None] | None) -> None:
        self._on_event, self._lock, self.count = on_event, threading.Lock(), 0

    def tell(self, kind: Kind, paper: str, claim: str, number: int = 0, **values: Any) -> None:
        if self._on_event is not None:
            with self._lock:
                self._on_event(Event(kind, paper, claim, number, self.count, **values))


@dataclasses.dataclass
class _Measurer:
    """Measures one claim after the other under the same settings."""

    store: Store
    scale: Scale
    seeds: int | Sequence[int] | None
    again: bool
    executor: Executor
    teller: _Teller
    cancel: threading.Event
    fetch: bool
    full: list[DiskFull] = dataclasses.field(default_factory=list)

    def measure(self, number: int, paper: Paper, claim: Claim) -> Result | None:
        """Return the claim's result, from the store where it was measured before; None if there is none."""
        tell = functools.partial(self.teller.tell, paper=paper.key, claim=claim.id, number=number)
        if self.cancel.is_set():
            tell("cancelled", text="not begun")
            return None
        if self.scale not in claim.scales:
            tell(
                "skipped", text=f"cannot be measured at scale {self.scale}; can at {', '.join(claim.scales)}"
            )
            return None
        seeds = self._seeds(claim)
        try:
            known = self._known(paper, claim, seeds)
            if known is None:
                with self._alone(paper, claim, tell):
                    # Whoever held the lock may have measured it meanwhile.
                    known = self._known(paper, claim, seeds)
                    if known is None:
                        return self._measure(paper, claim, seeds, tell)
        except Stopped:
            tell("cancelled", text="ended before it was measured; what it kept is used by the next run")
            return None
        except DiskFull as error:
            tell("problem", text=str(error))
            self.full.append(error)
            return None
        except (StoreError, BrokenFile) as error:
            tell("problem", text=str(error))
            return self._result(paper, claim, seeds, Outcome(reason=str(error)))
        tell("reused", text="measured before with the same scale, seeds and code", result=known)
        return known

    def is_known(self, paper: Paper, claim: Claim) -> bool:
        """Tell whether nothing need be measured for a claim: its result is kept, or it has not got the scale."""
        if self.scale not in claim.scales:
            return True
        try:
            return self._known(paper, claim, self._seeds(claim)) is not None
        except BrokenFile:
            return False

    def _seeds(self, claim: Claim) -> tuple[int, ...]:
        seeds = claim.seeds[self.scale] if self.seeds is None else self.seeds
        return tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)

    def _known(self, paper: Paper, claim: Claim, seeds: tuple[int, ...]) -> Result | None:
        if self.again:
            return None
        return self.store.find_same(paper.key, claim.id, self.scale, seeds, paper.fingerprint)

    @contextlib.contextmanager
    def _alone(self, paper: Paper, claim: Claim, tell: Any) -> Any:
        """Hold the claim's lock: two processes do not measure the same claim at once."""
        from filelock import Timeout

        lock = self.store.lock(paper.key, claim.id)
        told = False
        while True:
            try:
                lock.acquire(timeout=0)
                break
            except Timeout:
                if not told:
                    tell("waiting", text="another process is measuring this claim; waiting for it")
                    told = True
                if self.cancel.wait(0.2):
                    raise Stopped from None
        try:
            yield
        finally:
            lock.release()

    def _measure(self, paper: Paper, claim: Claim, seeds: tuple[int, ...], tell: Any) -> Result:
        self.store.sweep(paper.key, claim.id)
        cache_dir = self._cache_dir(paper, claim, seeds)
        partial = self.store.begin(paper.key, claim.id)
        state = StateFile(paper.key, claim.id, self.scale)
        state.update(now=True)
        tell("started", text=claim.title)
        job = Job(
            package=paper.package,
            folder=str(paper.folder),
            claim=claim.id,
            scale=str(self.scale),
            seeds=seeds,
            minutes=claim.minutes[self.scale],
            memory_gb=claim.memory_gb,
            needs=claim.needs,
            data=claim.data,
            out=str(partial),
            cache_dir=str(cache_dir),
            fetch=self.fetch,
        )
        try:
            watch = _watcher(tell, state)
            outcome = self.executor.run(job, paper, watch, self.cancel.is_set)
            result = self._result(paper, claim, seeds, outcome)
            if result.verdict in (Verdict.NEEDS_DATA, Verdict.NEEDS_HARDWARE):
                shutil.rmtree(partial, ignore_errors=True)  # what is absent today may be here tomorrow
            else:
                result = self._keep(result, partial, tell)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        finally:
            state.remove()
        if result.is_measurement and result.folder is not None:
            shutil.rmtree(cached_folder(cache_dir, self.scale, seeds), ignore_errors=True)
        tell("finished", text=result.reason, result=result, elapsed=result.seconds)
        return result

    def _keep(self, result: Result, partial: Path, tell: Any) -> Result:
        shutil.rmtree(partial / ".scratch", ignore_errors=True)
        if not result.is_measurement:  # figures of half a measurement would mislead
            for file in partial.iterdir():
                file.unlink()
        try:
            return self.store.add(result, partial)
        except StoreError as error:
            tell("problem", text=f"{error}. It was {result.verdict}: {result.reason}", result=result)
            return result

    def _cache_dir(self, paper: Paper, claim: Claim, seeds: tuple[int, ...]) -> Path:
        """Return the claim's folder for its code as it is now; those of other code are cleared away."""
        base = places.cache_folder() / "claims" / paper.key / claim.id
        mine = base / paper.fingerprint
        for other in base.glob("*"):
            if other != mine:
                shutil.rmtree(other, ignore_errors=True)
        if self.again:
            # Parts kept by a run that has since come to its end are no measurement anew.
            kept = cached_folder(mine, self.scale, seeds)
            last = self.store.latest(paper.key, claim.id, self.scale)
            if last and last.folder and kept.is_dir() and _newest(kept) <= last.folder.stat().st_mtime:
                shutil.rmtree(kept, ignore_errors=True)
        return mine

    def _result(self, paper: Paper, claim: Claim, seeds: tuple[int, ...], outcome: Outcome) -> Result:
        measured = outcome.measured
        verdict, reason = outcome.verdict, outcome.reason
        if measured is not None:
            verdict, reason = judge(claim, measured, self.scale)
        failed = verdict is Verdict.FAILED
        shown = None if failed else measured
        return Result(
            paper=paper.key,
            claim=claim.id,
            scale=self.scale,
            seeds=seeds,
            verdict=verdict,
            reason=printable(reason),
            value=shown.value if shown else None,
            low=shown.low if shown else None,
            high=shown.high if shown else None,
            unit=(measured.unit if measured else "") or claim.unit,
            note=measured.note if measured else "",
            parts=measured.parts if measured else {},
            title=claim.title,
            published=claim.published,
            kind=claim.kind,
            where=claim.where,
            error=printable(outcome.error),
            figures=() if failed else outcome.pictures,
            tables=() if failed else outcome.tables,
            versions=outcome.versions,
            machine=outcome.machine,
            code=_code(paper),
            started=outcome.started,
            seconds=outcome.seconds,
            cpu_seconds=outcome.cpu_seconds,
            memory_gb=outcome.memory_gb,
        )


def _newest(folder: Path) -> float:
    return max((file.stat().st_mtime for file in folder.iterdir()), default=0.0)


def _watcher(tell: Any, state: StateFile) -> Watch:
    """Turn what the claim's process says into events and into its state file."""
    clock = Clock()

    def watch(message: Mapping[str, Any]) -> None:
        if "say" in message:
            state.update(said=message["say"], elapsed=clock.elapsed)
            tell("said", text=message["say"], elapsed=clock.elapsed)
        elif "fraction" in message:
            fraction, label = message["fraction"], str(message.get("label", ""))
            eta = clock.eta(fraction)
            state.update(fraction=fraction, label=label, elapsed=clock.elapsed, eta=eta)
            tell("progress", fraction=fraction, label=label, elapsed=clock.elapsed, eta=eta)

    return watch


def _code(paper: Paper) -> dict[str, Any]:
    commit, changed = _commit(str(paper.folder), paper.fingerprint)
    return {
        "version": broadsheet.__version__,
        "fingerprint": paper.fingerprint,
        "commit": commit,
        "changed": changed,
    }


@functools.lru_cache(maxsize=64)
def _commit(folder: str, _fingerprint: str) -> tuple[str | None, bool | None]:
    """Return the commit of a checkout and whether its code changed since; nothing outside of one."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        tracked = _git(folder, "ls-files", "--", "*.py")
        changed = _git(folder, "status", "--porcelain", "--", "*.py")
    except (OSError, subprocess.SubprocessError):
        return None, None
    if not tracked:  # an installation that happens to lie inside somebody's repository
        return None, None
    return commit.strip(), bool(changed.strip())


def _git(folder: str, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", folder, "--no-optional-locks", *words],
        capture_output=True,
        text=True,
        timeout=5,
        check=True,
    )
    return done.stdout
