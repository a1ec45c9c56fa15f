"""Fits an uploaded table in a process of its own, with limits: whatever the file holds, the site goes on serving."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from broadsheet import places

__all__ = ["LIMIT", "Busy", "Refused", "Reported", "keep", "kept", "measure", "policy"]

LIMIT = 2_000_000
"""Bytes of an uploaded table."""
_SECONDS = 60
_MEMORY = 2_000_000_000
_AT_ONCE = threading.BoundedSemaphore(2)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}")
# The limits hold from the first line on, before anything of the file is read.
_CHILD = (
    "import resource, sys; "
    f"resource.setrlimit(resource.RLIMIT_CPU, ({_SECONDS}, {_SECONDS})); "
    f"resource.setrlimit(resource.RLIMIT_AS, ({_MEMORY}, {_MEMORY})); "
    "from broadsheet.cli import main; main()"
)


class Refused(Exception):
    """The table was not fitted; the message says why, and the way out."""


class Busy(Exception):
    """As many tables are being fitted as this server fits at once."""


@dataclass(frozen=True)
class Reported:
    """What came of a table.

    Args:
        html: The report, one whole document.
    """

    html: str


def measure(table: Iterable[bytes], command: str, options: Iterable[str]) -> Reported:
    """Run a command of the workbench on an uploaded table. Nothing is kept.

    Args:
        table: The file's bytes.
        command: ``fit`` or ``plan``.
        options: Its options.

    Returns:
        The report.

    Raises:
        Refused: if the table is too large or cannot be fitted, in the words of the command line.
        Busy: if too many are being fitted.
    """
    if not _AT_ONCE.acquire(blocking=False):
        raise Busy
    try:
        with tempfile.TemporaryDirectory(prefix="broadsheet-workbench-") as folder:
            runs, report = Path(folder, "your-table.csv"), Path(folder, "report.html")
            _write(runs, table)
            words = [sys.executable, "-c", _CHILD, "scaling", command, str(runs), *options]
            words += ["--output", str(report), "--json"]
            done = _run(words, folder)
            if done.returncode or not report.is_file():
                raise Refused(_reason(done, folder))
            return Reported(report.read_text(encoding="utf-8"))
    finally:
        _AT_ONCE.release()


def _write(path: Path, table: Iterable[bytes]) -> None:
    size = 0
    with path.open("wb") as file:
        for part in table:
            size += len(part)
            if size > LIMIT:
                raise Refused(
                    f"The table is larger than {LIMIT // 1_000_000} MB. Send fewer rows, or run "
                    "`broadsheet scaling fit` on your machine, which has no limit."
                )
            file.write(part)
    if not size:
        raise Refused("The file is empty. Choose a CSV file with a header and one run a row.")


def _run(words: list[str], folder: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")}
    try:
        return subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, timeout=2 * _SECONDS, check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise Refused(_too_long()) from error


def _too_long() -> str:
    return (
        f"The fit took longer than {_SECONDS} seconds and was ended. Send fewer rows, or run "
        "`broadsheet scaling fit` on your machine."
    )


def _reason(done: subprocess.CompletedProcess[str], folder: str) -> str:
    if done.returncode < 0:
        return _too_long()
    for line in reversed(done.stderr.splitlines()):
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and "error" in said:
            # The reader knows her file, not the folder in which it lay here.
            return str(said["error"]).replace(f"{folder}{os.sep}", "")[:2000]
    return "The table could not be fitted: the fit broke off. Run `broadsheet scaling fit` on your machine to see why."


def _reports() -> Path:
    return places.home() / "reports"


def keep(report: Reported) -> str:
    """Keep a report on this machine, because its reader asked for it.

    Returns:
        The token that names it; nobody can guess it.
    """
    from broadsheet.lab.store import write_atomically

    token = secrets.token_urlsafe(16)
    _reports().mkdir(parents=True, exist_ok=True)
    write_atomically(_reports() / f"{token}.html", report.html)
    return token


def kept(token: str) -> str | None:
    """Return a kept report, or None where there is none of that name."""
    path = _reports() / f"{token}.html"
    return path.read_text(encoding="utf-8") if _TOKEN.fullmatch(token) and path.is_file() else None


def policy(html: str) -> str:
    """Return the content policy of a report: its one style by its hash, pictures it holds, and nothing else.

    Args:
        html: The document.

    Returns:
        The header's value.
    """
    style = html.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
