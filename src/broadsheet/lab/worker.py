"""The process of one claim: a guard that can end everything it started, and the claim itself.

Started by :mod:`broadsheet.lab.limited` as a script. The first line of standard input is the request, as
JSON; afterwards ``T`` asks the claim to end, ``K`` ends it at once, and so does the end of the input: when
whoever started this dies, however suddenly, nothing of the claim stays behind. What happens is told in lines
of JSON on the file descriptor named by the request.

The guard forks before anything is imported, so it stays small and nothing the claim does can block it. On
Linux it adopts the orphans among the claim's processes, so that these cannot escape either.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

Send = Callable[[Mapping[str, Any]], None]
_GRACE = 1.0  # seconds between asking a claim to end and ending it
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_SLACK = 2_000_000_000
"""Bytes that a process may have mapped beyond its memory limit: what is mapped is not all used."""


def main() -> None:
    """Read the request, start the claim, guard it."""
    text = b""
    while b"\n" not in text:
        part = os.read(0, 1 << 16)
        if not part:
            return  # whoever wanted this is gone
        text += part
    line, _, asked = text.partition(b"\n")  # the wish to end may follow at once
    request = json.loads(line)
    guard = os.getpid()
    claim = os.fork()
    if claim == 0:
        code = 1
        try:
            _become_claim(guard, request)
            code = 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)  # no exit handlers: threads that a library left behind must not hold it up
    status, used, peak = _watch(claim, asked)
    with contextlib.suppress(OSError):
        message = {"guard": {"status": status, "cpu_seconds": used, "peak_bytes": peak}}
        _write(request["events"], message)


# --- The guard ---------------------------------------------------------------------------------------------


def _watch(claim: int, asked: bytes = b"") -> tuple[int, float, int]:
    """Wait for the claim, end it when asked to, then end whatever it left behind.

    Returns:
        Its wait status, processor seconds, and peak memory of its largest process in bytes.
    """
    import select

    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    for ignored in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    reaped = _Reaped(claim)
    waited = [0, wake]
    end_by: float | None = None
    while not reaped.collect():
        if b"K" in asked:
            end_by = time.monotonic()
        elif b"T" in asked:
            _signal_group(claim, signal.SIGTERM)
            end_by = time.monotonic() + _GRACE
        asked = b""
        left = None if end_by is None else max(0.0, end_by - time.monotonic())
        ready, _, _ = select.select(waited, [], [], left)
        if wake in ready:
            os.read(wake, 512)
        if 0 in ready:
            asked = os.read(0, 512)
            if not asked:
                asked, waited = b"K", [wake]
        if end_by is not None and time.monotonic() >= end_by:
            _signal_group(claim, signal.SIGKILL)
            end_by = time.monotonic() + 0.2
    _signal_group(claim, signal.SIGKILL)
    until = time.monotonic() + 5
    while not reaped.collect_all() and time.monotonic() < until:
        for pid in _children():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)
    return reaped.status, reaped.used, reaped.peak


class _Reaped:
    """What the ended processes left to the guard: status, processor time, peak memory."""

    def __init__(self, claim: int) -> None:
        self._claim, self._over = claim, False
        self.status, self.used, self.peak = 0, 0.0, 0

    def collect(self) -> bool:
        """Collect what has ended; tell whether the claim has."""
        while True:
            try:
                pid, status, usage = os.wait3(os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return self._over
            self.used += usage.ru_utime + usage.ru_stime
            self.peak = max(self.peak, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
            if pid == self._claim:
                self.status, self._over = status, True

    def collect_all(self) -> bool:
        """Collect what has ended; tell whether nothing is left."""
        self.collect()
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return True
        return False


def _signal_group(group: int, number: int) -> None:
    # Before the claim has made its own group there is only the process; both are tried.
    for send in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            send(group, number)


def _children() -> list[int]:
    """Return the guard's children, the adopted ones too; none where the system does not tell."""
    me = str(os.getpid()).encode()
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        pass
    found = []
    with contextlib.suppress(OSError):
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError, IndexError), open(f"/proc/{name}/stat", "rb") as file:
                if file.read().rpartition(b")")[2].split()[1] == me:
                    found.append(int(name))
    return found


def _prctl(option: int, value: int) -> None:
    if sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


# --- The claim ---------------------------------------------------------------------------------------------


def _become_claim(guard: int, request: dict[str, Any]) -> None:
    os.setpgid(0, 0)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != guard:
        return  # the guard died before it could be watched
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.set_inheritable(request["events"], False)
    _limit(request)
    sys.path[:] = request["path"]
    owner = os.getpid()

    def send(message: Mapping[str, Any]) -> None:
        if os.getpid() == owner:  # a process that the claim forked must not mix its words in
            _write(request["events"], message)

    try:
        end = _measure(request, send)
    except BaseException as error:  # whatever foreign code raises, SystemExit too, is its result
        end = {"failed": _failure(error, request)}
    send({"end": end})


def _limit(request: dict[str, Any]) -> None:
    import faulthandler
    import resource

    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if "gpu" in request["needs"]:
        return  # GPU drivers map far more than they use; the watch over resident memory stays
    limit = int(request["memory_gb"] * 1e9) + _SLACK
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _measure(request: dict[str, Any], send: Send) -> dict[str, Any]:
    import importlib
    import random
    from pathlib import Path

    from broadsheet.claims import Claim, Measured, NeedsHardware, Scale
    from broadsheet.lab.run import LabRun
    from broadsheet.lab.store import clean

    if "gpu" in request["needs"] and not _has_gpu():
        raise NeedsHardware("needs a GPU that PyTorch can use; this machine has none")
    module = importlib.import_module(f"{request['package']}.claims")
    claims = {value.id: value for value in vars(module).values() if isinstance(value, Claim)}
    claim = claims[request["claim"]]
    paths = {name: Path(path) for name, path in request["data"].items()}
    out = Path(request["out"])
    run = LabRun(
        Scale(request["scale"]),
        request["seeds"],
        out,
        Path(request["cache_dir"]),
        watch=send,
        find_data=lambda name: paths.get(name) or _other_data(name, request, send),
    )
    run.cache_dir.mkdir(parents=True, exist_ok=True)
    random.seed(request["seeds"][0])
    started = time.perf_counter()
    measured = claim(run)
    seconds = time.perf_counter() - started
    if not isinstance(measured, Measured):
        raise TypeError(f"the claim returned {type(measured).__name__}, expected broadsheet.claims.Measured")
    ends = [None if end is None else float(end) for end in (measured.low, measured.high)]
    return {
        "measured": {
            "value": float(measured.value),
            "low": ends[0],
            "high": ends[1],
            "unit": str(measured.unit),
            "note": str(measured.note),
            "parts": clean(measured.parts or {}),
        },
        "seconds": seconds,
        "pictures": [vars(picture) for picture in run.pictures],
        "tables": [vars(table) for table in run.tables],
        "versions": _versions(),
        "machine": _machine(),
    }


def _other_data(name: str, request: Mapping[str, Any], send: Send) -> Any:
    """Return data that the claim did not declare with ``data=``, but its paper or another one does."""
    from pathlib import Path

    from broadsheet import data

    folder = Path(request["folder"])
    files = [file for file in (folder / "paper.toml", folder.parent / "data.toml") if file.is_file()]
    own = {dataset.name: dataset for file in files for dataset in data.declared_in(file)}
    dataset = own.get(name) or data.find(name)
    path = data.local(dataset)
    if path is None and not request["fetch"]:
        raise data.absent(dataset)
    if path is None:
        send({"say": f"fetching {name}: {dataset.size}, licence {dataset.licence}, {dataset.url}"})
    return path or data.bring(dataset)


def _has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available() or torch.backends.mps.is_available())


def _failure(error: BaseException, request: dict[str, Any]) -> dict[str, Any]:
    import traceback

    from broadsheet.claims import NeedsData, NeedsHardware

    if isinstance(error, NeedsData):
        return {"verdict": "needs data", "reason": str(error), "error": ""}
    if isinstance(error, NeedsHardware):
        return {"verdict": "needs other hardware", "reason": str(error), "error": ""}
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if frame.filename.startswith(request["folder"])]
    at = ""
    if inside:
        last = inside[-1]
        at = f" ({os.path.relpath(last.filename, request['folder'])}, line {last.lineno}, in {last.name})"
    text = "".join(traceback.format_exception(error, limit=-30))
    kind, words = type(error).__name__, str(error)
    if isinstance(error, MemoryError) or "can't allocate memory" in words:
        reason = (
            f"ran out of memory; its limit is {request['memory_gb']:g} GB (memory_gb= of its declaration)"
        )
    elif isinstance(error, SystemExit):
        reason = f"called sys.exit({error.code!r}) instead of returning what it measured"
    elif isinstance(error, OSError) and error.errno is not None:
        reason = f"raised {kind}: {error.strerror}" + (f": {error.filename}" if error.filename else "")
    else:
        reason = f"raised {kind}: {words}" if words else f"raised {kind}"
    return {
        "verdict": "failed",
        "reason": reason[:1000] + at,
        "error": text[-8000:],
        "disk_full": _is_of_a_full_disk(error),
    }


def _is_of_a_full_disk(error: BaseException) -> bool:
    """Tell whether a full disk is behind an error, whatever a library made of it."""
    import errno

    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__
    return False


_LIBRARIES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "pandas": "pandas",
    "sklearn": "scikit-learn",
    "matplotlib": "matplotlib",
    "formulaic": "formulaic",
    "torch": "torch",
    "transformers": "transformers",
    "tokenizers": "tokenizers",
    "safetensors": "safetensors",
    "PIL": "pillow",
    "lifelines": "lifelines",
    "sksurv": "scikit-survival",
    "statsmodels": "statsmodels",
    "numba": "numba",
    "jax": "jax",
}


def _versions() -> dict[str, str]:
    """Return the versions of what was imported, among the libraries that can change a number."""
    import platform

    import broadsheet

    found = {"python": platform.python_version(), "broadsheet": broadsheet.__version__}
    for module, name in _LIBRARIES.items():
        version = getattr(sys.modules.get(module), "__version__", None)
        if version:
            found[name] = str(version)
    return found


def _machine() -> dict[str, Any]:
    """Return what a reader needs to place a duration: never a name of the machine or of its user."""
    about = os.uname()
    processor = ""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        processor = next(
            (line.partition(":")[2].strip() for line in file if line.startswith("model name")), ""
        )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "system": f"{about.sysname} {about.release}",
        "processor": processor or about.machine,
        "cores": cores,
        "memory_gb": round(memory, 1),
    }


def _write(number: int, message: Mapping[str, Any]) -> None:
    data = memoryview(json.dumps(message).encode() + b"\n")
    while data:
        data = data[os.write(number, data) :]


if __name__ == "__main__":
    main()
