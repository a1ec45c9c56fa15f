"""Measures claims on a Ray cluster: each on a node of its choice, within the same limits as here.

The nodes need Broadsheet and the paper's package installed, of the same version as here; that is checked.
Needs the extra ``ray``. Results come back to the store of whoever asked for them.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import logging
import os
import queue
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from broadsheet import extras
from broadsheet.lab.catalogue import Facts, Paper
from broadsheet.lab.limited import Job, Outcome, Stopped, Watch, run_limited
from broadsheet.rooms import BrokenFile, Room

__all__ = ["RayExecutor"]

_LARGEST = 500_000_000
"""Bytes of figures and tables that a claim may send back."""


class RayExecutor:
    """Measures claims on a Ray cluster.

    Args:
        address: The cluster's address (``ray://host:10001``, ``host:6379`` or ``auto``). None: the cluster
            that this process is connected to or that ``RAY_ADDRESS`` names, else one on this machine.

    Raises:
        ImportError: if Ray is not installed.
        ConnectionError: if there is no cluster at that address.
    """

    def __init__(self, address: str | None = None) -> None:
        try:
            ray: Any = importlib.import_module("ray")
        except ImportError as error:
            command = f"`{extras.install_command('ray')}` {extras.WHERE}"
            raise ImportError(f"Ray is not installed here: run {command}") from error
        self._ray = ray
        self._ours = not ray.is_initialized()
        if self._ours:
            _knock(address or os.environ.get("RAY_ADDRESS", ""))
            try:
                ray.init(
                    address=address,
                    include_dashboard=None if address else False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
            except (ConnectionError, ValueError, RuntimeError) as error:
                there = f"at {address}" if address else "on this machine"
                raise ConnectionError(f"no Ray cluster answers {there}: {error}") from error
        self.slots = max(1, min(32, int(ray.cluster_resources().get("CPU", 1))))
        # Not tried again when a node dies: half of its messages have been told. The next call measures it.
        self._measure = ray.remote(num_cpus=1, max_retries=0)(_measure_there)

    def run(self, job: Job, paper: Paper, watch: Watch, stopped: Callable[[], bool]) -> Outcome:
        """Measure one claim on the cluster.

        Raises:
            Stopped: if it was cancelled.
        """
        ray = self._ray
        watch({"say": "waiting for a node of the cluster"})
        stream = self._measure.options(num_gpus=1 if "gpu" in job.needs else 0).remote(
            dataclasses.asdict(job), paper.fingerprint, _extra_path(paper), paper.room.built_in
        )
        try:
            outcome, files = self._follow(stream, watch, stopped)
        except ray.exceptions.RayError as error:
            first = str(error).strip().splitlines()[0]
            return Outcome(reason=f"the Ray cluster could not measure it: {type(error).__name__}: {first}")
        except BaseException:
            ray.cancel(stream)
            if not ray.wait([stream.completed()], timeout=10)[0]:
                ray.cancel(stream, force=True)
            raise
        for name, content in files.items():
            (Path(job.out) / Path(name).name).write_bytes(content)
        made: Outcome = outcome
        return made

    def _follow(
        self, stream: Any, watch: Watch, stopped: Callable[[], bool]
    ) -> tuple[Outcome, dict[str, bytes]]:
        """Hand on what the claim says until it has ended."""
        while True:
            ready, _ = self._ray.wait([stream], timeout=0.2)
            if stopped():
                raise Stopped
            if not ready:
                continue
            said: list[Mapping[str, Any]] | _End = self._ray.get(next(stream))
            if isinstance(said, _End):
                return said.outcome, dict(said.files)
            for message in said:
                watch(message)

    def close(self) -> None:
        """Leave the cluster, if this executor joined it."""
        if self._ours:
            self._ray.shutdown()


def _knock(address: str) -> None:
    """See whether anybody listens at a cluster's address: Ray itself ends the process where nobody does."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return  # "auto", "local" or nothing: Ray finds it, or starts one here
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65_536):
        raise ConnectionError(f"address must be such as ray-head:6379, got {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise ConnectionError(f"no Ray cluster answers at {address}: {error}") from error


@dataclasses.dataclass(frozen=True)
class _End:
    """The last that comes from a node: what came of the claim, and its files by name."""

    outcome: Outcome
    files: Mapping[str, bytes]


def _extra_path(paper: Paper) -> str:
    """Return the folder that the paper's package is imported from, for nodes that share our disk."""
    return str(paper.folder.parents[paper.package.count(".")])


def _measure_there(
    values: dict[str, Any], fingerprint: str, path: str, built_in: bool
) -> Iterator[list[Mapping[str, Any]] | _End]:
    """Measure a claim on the node where this runs; yield what it says, and at last what came of it."""
    ray: Any = importlib.import_module("ray")
    package, node = values["package"], ray.util.get_node_ip_address()
    if os.path.isdir(path) and path not in sys.path:
        sys.path.append(path)
    here = _paper_here(package, built_in)
    if here is None or here.fingerprint != fingerprint:
        state = "not installed" if here is None else "of another version"
        reason = f"{package} is {state} on the node {node}: install there what is installed here"
        yield _End(Outcome(reason=reason), {})
        return
    with tempfile.TemporaryDirectory(prefix="broadsheet-ray-") as folder:
        out = Path(folder) / "out"
        out.mkdir()
        where = {"folder": str(here.folder), "out": str(out), "cache_dir": f"{folder}/cache"}
        yield from _said_by(Job(**values | where), out)


def _said_by(job: Job, out: Path) -> Iterator[list[Mapping[str, Any]] | _End]:
    """Measure in a thread, so that messages can be yielded, in batches, while it lasts."""
    messages: queue.SimpleQueue[Mapping[str, Any] | Outcome] = queue.SimpleQueue()
    stop = threading.Event()

    def work() -> None:
        try:
            messages.put(run_limited(job, messages.put, stop.is_set))
        except Stopped:
            messages.put(Outcome(reason="cancelled"))
        except BaseException as error:  # a thread has nobody else to tell
            messages.put(Outcome(reason=f"the node failed: {type(error).__name__}: {error}"))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        while True:
            batch: list[Mapping[str, Any]] = []
            end = _collect(messages, batch)
            if batch:
                yield batch
            if end is not None:
                yield _with_files(end, out)
                return
    finally:  # also when Ray interrupts this task: it was cancelled
        stop.set()
        thread.join()


def _collect(
    messages: queue.SimpleQueue[Mapping[str, Any] | Outcome], batch: list[Mapping[str, Any]]
) -> Outcome | None:
    """Fill ``batch`` with what is said within half a second; return the outcome if it came."""
    until = time.monotonic() + 0.5
    while (left := until - time.monotonic()) > 0:
        try:
            message = messages.get(timeout=left)
        except queue.Empty:
            break
        if isinstance(message, Outcome):
            return message
        batch.append(message)
    return None


def _with_files(outcome: Outcome, out: Path) -> _End:
    wanted = [name for picture in outcome.pictures for name in picture.files.values()]
    wanted += [picture.table for picture in outcome.pictures if picture.table]
    wanted += [table.file for table in outcome.tables]
    if sum((out / name).stat().st_size for name in wanted) > _LARGEST:
        return _End(Outcome(reason=f"its figures and tables exceed {_LARGEST / 1e6:.0f} MB"), {})
    return _End(outcome, {name: (out / name).read_bytes() for name in wanted})


def _paper_here(package: str, built_in: bool) -> Paper | None:
    """Return the paper of that package as it is installed on this node."""
    try:
        spec = importlib.util.find_spec(package)
    except ImportError:
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations)))
    room = Room(package, folder, folder.parent.name, built_in)
    try:
        return Paper(room, Facts.read(folder / "paper.toml"))
    except BrokenFile:
        return None
