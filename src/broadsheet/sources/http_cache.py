"""Keeps answers of the sources on disk, so that nothing is asked twice in vain."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

__all__ = ["Cache", "Reply"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came.

    Args:
        status: HTTP status.
        body: The body, unpacked.
        etag: The ETag header, "" if absent.
        last_modified: The Last-Modified header, "" if absent.
        fetched_at: When it came or was confirmed, in seconds since 1970.
    """

    status: int
    body: bytes
    etag: str = ""
    last_modified: str = ""
    fetched_at: float = 0.0

    def refreshed(self, now: float) -> Reply:
        """Return the same answer, confirmed now.

        Args:
            now: Seconds since 1970.

        Returns:
            The answer with its new time.

        Example:
            >>> Reply(200, b"").refreshed(7.0).fetched_at
            7.0
        """
        return replace(self, fetched_at=now)


class Cache:
    """A folder of answers, the oldest dropped when it grows too large.

    An entry is one file: a line of JSON, then the body; it is written whole or not at all, and one that does not
    match its own checksum counts as absent.

    Args:
        folder: The folder; made when first needed.
        largest: Bytes that it may hold.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     cache = Cache(Path(folder))
        ...     cache.store("https://example.org", Reply(200, b"body"))
        ...     cache.find("https://example.org").body
        b'body'
    """

    def __init__(self, folder: Path, largest: int = 1 << 28) -> None:
        self._folder = folder
        self._largest = largest

    def find(self, url: str) -> Reply | None:
        """Return the answer kept for an address.

        Args:
            url: The whole address.

        Returns:
            The answer, or None if there is no sound one.
        """
        try:
            head, _, body = self._path(url).read_bytes().partition(b"\n")
            facts = json.loads(head)
            if facts.pop("url") != url or facts.pop("sha256") != hashlib.sha256(body).hexdigest():
                return None
            return Reply(body=body, **_known(facts))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def store(self, url: str, reply: Reply) -> None:
        """Keep an answer. A folder that cannot be written costs only time later, and is logged.

        Args:
            url: The whole address.
            reply: The answer.
        """
        facts: dict[str, Any] = {
            "url": url,
            "sha256": hashlib.sha256(reply.body).hexdigest(),
            **asdict(reply),
        }
        del facts["body"]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._folder, suffix=".part")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(json.dumps(facts).encode() + b"\n" + reply.body)
                os.replace(name, self._path(url))
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(name)
                raise
            self._prune()
        except OSError as error:
            _LOG.warning("an answer could not be kept in %s: %s", self._folder, error)

    def _path(self, url: str) -> Path:
        return self._folder / hashlib.sha256(url.encode()).hexdigest()

    def _prune(self) -> None:
        entries = []
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another process may prune as well
                facts = path.stat()
                entries.append((facts.st_mtime, facts.st_size, path))
        excess = sum(size for _, size, _ in entries) - self._largest
        for _, size, path in sorted(entries):
            if excess <= 0:
                break
            path.unlink(missing_ok=True)
            excess -= size


def _known(facts: dict[str, Any]) -> dict[str, Any]:
    kinds = {"status": int, "etag": str, "last_modified": str, "fetched_at": float}
    if set(facts) != set(kinds) or not all(isinstance(facts[key], kind) for key, kind in kinds.items()):
        raise ValueError("not an entry of this cache")
    return facts
