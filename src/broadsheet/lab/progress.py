"""What a measurement tells while it runs: to a callback, and to a small file that other processes read."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from broadsheet import places
from broadsheet.lab.store import Result, utc_now

__all__ = ["Event", "Kind", "Running", "StateFile", "running"]

Kind = Literal[
    "reused", "skipped", "waiting", "started", "said", "progress", "finished", "cancelled", "problem"
]
_PAUSE = 0.5  # seconds between two writes of the file


@dataclass(frozen=True)
class Event:
    """Something that happened while claims were measured.

    Args:
        kind: ``started``, ``said`` (see ``text``), ``progress`` (see ``fraction``), ``finished`` (see
            ``result``); ``reused``: was measured before, ``result`` is that; ``skipped``: cannot be measured
            at this scale; ``waiting``: another process measures it; ``cancelled``; ``problem``: its result
            could not be stored, or its claims cannot be read.
        paper: The paper's key.
        claim: The claim's id, "" for a problem of the paper.
        number: Which of the claims asked for, from 1.
        count: How many were asked for.
        text: A sentence.
        fraction: How far it is, in [0, 1], or None where that is not known.
        label: What is being counted.
        elapsed: Seconds since it started.
        eta: Seconds still to go, estimated from the progress so far, or None.
        result: The result.
    """

    kind: Kind
    paper: str
    claim: str
    number: int = 0
    count: int = 0
    text: str = ""
    fraction: float | None = None
    label: str = ""
    elapsed: float = 0.0
    eta: float | None = None
    result: Result | None = None


class Clock:
    """Estimates how long a claim still takes, from its progress so far."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._from: tuple[float, float] | None = None  # when, and at which fraction, the loop was first seen
        self._last = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the claim started."""
        return time.monotonic() - self._start

    def eta(self, fraction: float | None) -> float | None:
        """Return the seconds still to go, or None while nothing can be said."""
        now = time.monotonic()
        if fraction is None:
            self._from = None
            return None
        if self._from is None or fraction < self._last:  # less than before: another loop
            self._from = (now, fraction)
        self._last = fraction
        since, begun = self._from
        if fraction <= begun:
            return None
        return (now - since) / (fraction - begun) * (1 - fraction)


@dataclass(frozen=True)
class Running:
    """A claim that is being measured now, by whatever process of this machine.

    Args:
        paper: The paper's key.
        claim: The claim's id.
        scale: The scale.
        pid: The process that measures it.
        since: When it started, ISO 8601 in UTC.
        said: The last thing it said.
        label: What is being counted.
        fraction: How far it is, in [0, 1], or None.
        elapsed: Seconds since it started, when this was written.
        eta: Seconds still to go, or None.
    """

    paper: str
    claim: str
    scale: str
    pid: int
    since: str
    said: str = ""
    label: str = ""
    fraction: float | None = None
    elapsed: float = 0.0
    eta: float | None = None


def _folder() -> Path:
    return places.home() / "running"


class StateFile:
    """The file that tells other processes how a running claim stands; replaced as a whole each time."""

    def __init__(self, paper: str, claim: str, scale: str) -> None:
        self._path = _folder() / f"{paper.replace('/', '--')}--{claim}.json"
        self._state: dict[str, Any] = {
            "paper": paper,
            "claim": claim,
            "scale": scale,
            "pid": os.getpid(),
            "since": utc_now(),
            "process_started": psutil.Process().create_time(),
        }
        self._written = 0.0

    def update(self, *, now: bool = False, **values: Any) -> None:
        """Take note of ``values``; write them, but not more often than twice a second unless ``now``."""
        self._state |= values
        if not now and time.monotonic() - self._written < _PAUSE:
            return
        self._written = time.monotonic()
        half = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        # No fsync: after a power cut nothing runs.  A full disk costs the display, not the measurement.
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            half.write_text(json.dumps(self._state), encoding="utf-8")
            half.replace(self._path)

    def remove(self) -> None:
        """Take the file away: nothing runs any more."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def running() -> list[Running]:
    """Return the claims that are being measured now; what killed processes left is cleared away.

    Example:
        >>> [state for state in running() if state.claim == "no-such-claim"]
        []
    """
    found = []
    for path in sorted(_folder().glob("*.json")):
        try:
            state: Mapping[str, Any] = json.loads(path.read_bytes())
            pid, born = state["pid"], state["process_started"]
            fields = {k: v for k, v in state.items() if k != "process_started"}
            one = Running(**fields)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # taken away meanwhile, or not ours
        if _lives(pid, born):
            found.append(one)
        else:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    return found


def _lives(pid: int, born: float) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - born) < 1  # the number may belong to another by now
    except psutil.Error:
        return False
