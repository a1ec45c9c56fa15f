"""One polite client for the sources: slow enough for their rules, patient with their faults, safe against strangers.

The pace is kept for a whole service (arXiv's API and its OAI door are one), and by every process of this
installation together: a lock file is held while a request runs, so that there is one connection, and the time before
which the next request may not start stands in a file beside it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import email.utils
import hashlib
import logging
import random
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urljoin, urlsplit

import httpx
from filelock import FileLock, Timeout

from broadsheet import __version__, places
from broadsheet.sources.http_cache import Cache, Reply
from broadsheet.sources.record import SourceError
from broadsheet.sources.text import shorten

__all__ = ["ARXIV", "HUGGING_FACE", "PoliteClient", "Service", "TryAgain"]

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_MOST_REDIRECTS = 5
_LARGEST_BODY = 1 << 25  # bytes, packed and unpacked alike: 2,000 arXiv entries are about 6 MiB
_FIRST_WAIT = 3.0  # seconds before the first repetition; doubled each time
_LONGEST_WAIT = 120.0
_LONGEST_ASKED = 600.0  # seconds that a server may ask us to wait before we give up instead
_LOCK_PATIENCE = 300.0


@dataclass(frozen=True, slots=True)
class Service:
    """A service that is asked as one, whatever hosts it has.

    Args:
        name: Short name, also of its files in the cache.
        hosts: Hosts that may be asked and redirected to, by https only.
        interval: Least number of seconds between two requests.
        fresh: Seconds for which an answer is taken from the cache without asking.
    """

    name: str
    hosts: frozenset[str]
    interval: float
    fresh: float


ARXIV = Service(
    "arxiv",
    frozenset({"export.arxiv.org", "oaipmh.arxiv.org", "arxiv.org", "rss.arxiv.org"}),
    interval=3.0,  # arXiv API terms of use: one request every three seconds over all its doors
    fresh=86_400.0,  # results change once a day
)
HUGGING_FACE = Service("huggingface", frozenset({"huggingface.co"}), interval=1.0, fresh=600.0)


class TryAgain(Exception):
    """An answer is whole but of no use, and the same request may well bring a better one."""


class _Passing(Exception):
    """A fault that may pass."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class PoliteClient:
    """Asks one service over HTTP.

    Args:
        service: The service.
        base_url: Its address; https on one of the service's hosts, or http on this machine for tests. Only this
            origin and, for a real service, its other hosts are ever asked.
        folder: Where pace and answers are kept between processes; None: ``http`` in the cache folder of the
            installation.
        interval: Seconds between two requests; None: the service's own, below which only this machine may be asked.
        timeout: Seconds without any answer after which a request is broken off, > 0.
        deadline: Seconds after which a request is broken off even if the answer still trickles, > 0.
        attempts: Number of times that one request is tried, >= 1.
        clock: Returns the time in seconds since 1970.
        sleep: Waits so many seconds.
        chance: Returns a number in [0, 1) that spreads waiting times.

    Raises:
        ValueError: If the address is not allowed, or a number is out of range.

    Example:
        >>> PoliteClient(ARXIV, base_url="https://example.org/api")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        ValueError: base_url must be https on one of ... or http on this machine, got 'https://example.org/api'
    """

    def __init__(
        self,
        service: Service,
        *,
        base_url: str,
        folder: Path | None = None,
        interval: float | None = None,
        timeout: float = 30.0,
        deadline: float = 180.0,
        attempts: int = 5,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._service = service
        self._local = _is_loopback(base_url)
        self._base_url = base_url
        if not self._is_allowed(base_url):
            raise ValueError(
                f"base_url must be https on one of {', '.join(sorted(service.hosts))}, or http on this machine, "
                f"got {shorten(base_url)!r}"
            )
        self._interval = service.interval if interval is None else interval
        least = 0.0 if self._local else service.interval
        if self._interval < least:
            raise ValueError(
                f"interval must be at least {least:g} s for {service.name}, got {self._interval:g}"
            )
        if attempts < 1:
            raise ValueError(f"attempts must be >= 1, got {attempts}")
        if not (timeout > 0 and deadline > 0):
            raise ValueError(f"timeout and deadline must be > 0, got {timeout:g} and {deadline:g}")
        self._deadline = deadline
        self._attempts = attempts
        self._clock, self._sleep, self._chance = clock, sleep, chance
        self._folder = folder if folder is not None else places.cache_folder() / "http"
        # This machine's own servers are not the service: their pace and answers are kept apart.
        origin = hashlib.sha256(_origin(base_url).encode()).hexdigest()[:16]
        name = f"local-{origin}" if self._local else service.name
        self._pace_file = self._folder / f"{name}.next"
        self._lock = FileLock(self._folder / f"{name}.lock", timeout=_LOCK_PATIENCE)
        self._cache = Cache(self._folder / name)
        self._http = httpx.Client(
            follow_redirects=False,
            timeout=timeout,
            trust_env=not self._local,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            headers={"User-Agent": f"broadsheet/{__version__}", "Accept-Encoding": "gzip"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. The client can't be used afterwards."""
        self._http.close()

    @property
    def now(self) -> dt.datetime:
        """The time of the client's clock, in UTC."""
        return dt.datetime.fromtimestamp(self._clock(), dt.UTC)

    def get(
        self,
        parameters: Mapping[str, str],
        parse: Callable[[bytes], T],
        *,
        path: str = "",
        types: tuple[str, ...],
        keep: bool = True,
        read_errors: bool = False,
    ) -> T:
        """Ask for one document and return what ``parse`` makes of it.

        Args:
            parameters: The query.
            parse: Turns the body into what is wanted. It may raise `TryAgain` for an answer of no use, which is then
                asked for again, and `SourceError` for one that no repetition mends. Only what it accepts is cached.
            path: Appended to the base address.
            types: Media types that the answer may have.
            keep: Whether the answer may come from the cache and is put there.
            read_errors: Whether ``parse`` also gets the bodies of HTTP 400 and 404, in which some services explain.

        Returns:
            The result of ``parse``.

        Raises:
            SourceError: If no usable answer came, saying what to do.
        """
        url = str(httpx.URL(self._base_url + path, params=dict(parameters)))
        cached = self._cache.find(url) if keep else None
        if cached is not None and 0 <= self._clock() - cached.fetched_at < self._service.fresh:
            with contextlib.suppress(TryAgain, SourceError):
                return parse(cached.body)
            cached = None  # unreadable: as good as none
        return self._ask(url, cached, parse, types, keep, read_errors)

    # --- one question, several attempts ---

    def _ask(
        self,
        url: str,
        cached: Reply | None,
        parse: Callable[[bytes], T],
        types: tuple[str, ...],
        keep: bool,
        read_errors: bool,
    ) -> T:
        for attempt in range(1, self._attempts + 1):
            try:
                reply = self._attempt(url, cached, types, read_errors)
                try:
                    result = parse(reply.body)
                except (TryAgain, SourceError) as error:
                    confirmed = cached is not None and reply.body is cached.body
                    if isinstance(error, SourceError) and not confirmed:
                        raise
                    if reply.status != 200:
                        raise SourceError(
                            f"{self._host} answers HTTP {reply.status} without saying why: check the question"
                        ) from error
                    cached = None  # next time a whole answer, not the word that this one still holds
                    raise _Passing(str(error)) from error
                if keep and reply.status == 200:
                    self._cache.store(url, reply)
                return result
            except _Passing as fault:
                wait = self._wait(attempt, fault)
                self._postpone(wait)
                if attempt == self._attempts:
                    raise SourceError(
                        f"{self._host} did not answer as it should in {attempt} attempts: {fault}; "
                        "try again later (nothing is lost)"
                    ) from fault
                _LOG.info("%s: %s; next attempt in %.0f s", self._host, fault, wait)
        raise AssertionError("unreachable")

    @property
    def _host(self) -> str:
        return urlsplit(self._base_url).netloc

    def _wait(self, attempt: int, fault: _Passing) -> float:
        """Return the seconds to wait: as asked, else doubling and spread so that clients do not march in step."""
        if fault.wait is not None:
            if fault.wait > _LONGEST_ASKED:
                until = self.now + dt.timedelta(seconds=min(fault.wait, 1e7))
                raise SourceError(
                    f"{self._host} asks to wait until {until:%Y-%m-%d %H:%M} UTC: try again then ({fault})"
                )
            return max(fault.wait, 0.0)
        return min(_FIRST_WAIT * 2.0 ** (attempt - 1), _LONGEST_WAIT) * (0.5 + 0.5 * self._chance())

    def _attempt(self, url: str, cached: Reply | None, types: tuple[str, ...], read_errors: bool) -> Reply:
        """Follow redirects within the allowed hosts to one answer."""
        headers = {"Accept": ", ".join(types)}
        if cached is not None and cached.etag:
            headers["If-None-Match"] = cached.etag
        if cached is not None and cached.last_modified:
            headers["If-Modified-Since"] = cached.last_modified
        address = url
        for _ in range(_MOST_REDIRECTS + 1):
            with self._turn():
                answer = self._exchange(address, headers)
            if answer.status_code not in _REDIRECTS:
                return self._judge(answer, cached, types, read_errors)
            try:
                target = urljoin(address, answer.headers.get("Location", ""))
            except ValueError as error:
                raise _Passing(f"it redirects to what is no address ({error})") from error
            if not self._is_allowed(target):
                raise SourceError(
                    f"{self._host} redirects to {shorten(target)!r}, which is not one of its own hosts: not followed"
                )
            address = target
        raise SourceError(f"{self._host} redirects more than {_MOST_REDIRECTS} times: try again later")

    def _judge(
        self, answer: _Answer, cached: Reply | None, types: tuple[str, ...], read_errors: bool
    ) -> Reply:
        status = answer.status_code
        if status == 304 and cached is not None:
            return cached.refreshed(self._clock())
        if status in _PASSING:
            raise _Passing(f"HTTP {status}", _retry_after(answer.headers.get("Retry-After"), self._clock()))
        explained = read_errors and status in {400, 404}
        media = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if status != 200 and not (explained and media in types):
            raise SourceError(
                f"{self._host} answers HTTP {status} to {shorten(answer.url, 200)}: check the question, "
                "or try again later"
            )
        if media not in types:
            raise SourceError(
                f"{self._host} answers with {media or 'an unknown type'} where {types[0]} is expected: it may be under "
                "repair, or a login page of your network stands between; try again later"
            )
        return Reply(
            status=status,
            body=answer.body,
            etag=answer.headers.get("ETag", ""),
            last_modified=answer.headers.get("Last-Modified", ""),
            fetched_at=self._clock(),
        )

    # --- the pace ---

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for our turn, and let nobody else of this installation ask meanwhile."""
        with self._locked():
            wait = self._next_time() - self._clock()
            if wait > 0:
                self._sleep(wait)
            self._set_next_time(self._clock() + self._interval)
            try:
                yield
            finally:
                self._set_next_time(self._clock() + self._interval)

    def _postpone(self, seconds: float) -> None:
        with self._locked():
            self._set_next_time(max(self._next_time(), self._clock() + seconds))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout as error:
            raise SourceError(
                f"another process of this installation has been asking {self._host} for {_LOCK_PATIENCE:.0f} s: "
                "wait until it has finished"
            ) from error
        except OSError as error:
            raise SourceError(
                f"{self._folder} cannot be written ({error.strerror or error}), and without it the pace of requests "
                "cannot be kept: set BROADSHEET_HOME to a folder of yours"
            ) from error
        try:
            yield
        finally:
            self._lock.release()

    def _next_time(self) -> float:
        try:
            stated = float(self._pace_file.read_text("ascii"))
        except (OSError, ValueError):
            return 0.0
        # A clock that was set back, or a damaged file, must not stop us for ever.
        latest = self._clock() + max(_LONGEST_ASKED, self._interval)
        return stated if stated <= latest else self._clock() + self._interval

    def _set_next_time(self, moment: float) -> None:
        try:
            self._pace_file.write_text(f"{moment:.3f}", "ascii")
        except OSError as error:
            raise SourceError(
                f"{self._pace_file} cannot be written ({error.strerror or error}), and without it the pace of requests "
                "cannot be kept"
            ) from error

    # --- the exchange ---

    def _is_allowed(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return False
        if "@" in parts.netloc:
            return False
        if self._local:
            return _origin(url) == _origin(self._base_url)
        return parts.scheme == "https" and port in {None, 443} and parts.hostname in self._service.hosts

    def _exchange(self, url: str, headers: Mapping[str, str]) -> _Answer:
        start = time.monotonic()
        try:
            with self._http.stream("GET", url, headers=headers) as response:
                body = self._body(response, start)
                return _Answer(response.status_code, response.headers, body, url)
        except httpx.TimeoutException as error:
            raise _Passing("no answer in time") from error
        except (httpx.TransportError, httpx.StreamError) as error:
            raise _Passing(
                f"the connection failed ({shorten(str(error)) or type(error).__name__})"
            ) from error
        except httpx.InvalidURL as error:
            raise SourceError(f"{shorten(url)!r} is no address: {error}") from error

    def _body(self, response: httpx.Response, start: float) -> bytes:
        """Read the body with limits to its size, packed and unpacked, and to its time."""
        packing = response.headers.get("Content-Encoding", "identity").strip().lower()
        if packing not in {"identity", "gzip", "x-gzip", ""}:
            raise SourceError(
                f"{self._host} sends its answer packed as {shorten(packing, 20)!r}, which was not asked for"
            )
        unpack = _Gunzip() if "gzip" in packing else None
        packed, plain = 0, bytearray()
        for chunk in response.iter_raw():
            packed += len(chunk)
            plain += unpack.feed(chunk, _LARGEST_BODY + 1 - len(plain)) if unpack else chunk
            if max(packed, len(plain)) > _LARGEST_BODY:
                raise SourceError(
                    f"{self._host} sends more than {_LARGEST_BODY >> 20} MiB in one answer: ask for fewer papers "
                    "at once"
                )
            if time.monotonic() - start > self._deadline:
                raise _Passing(f"the answer was not complete after {self._deadline:g} s")
        if unpack and packed and not unpack.ended:
            raise _Passing("the packed answer breaks off")
        return bytes(plain)


@dataclass(frozen=True, slots=True)
class _Answer:
    status_code: int
    headers: httpx.Headers
    body: bytes
    url: str


class _Gunzip:
    """Unpacks a gzip stream piece by piece, never more than asked."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)
        self.ended = False

    def feed(self, data: bytes, most: int) -> bytes:
        plain = bytearray()
        while data and len(plain) < most:
            if self._stream.eof:  # several members may follow each other
                self._stream = zlib.decompressobj(wbits=31)
            try:
                plain += self._stream.decompress(data, most - len(plain))
            except zlib.error as error:
                raise _Passing(f"the packed answer is damaged ({error})") from error
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            self.ended = self._stream.eof
        return bytes(plain)


def _is_loopback(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.hostname in _LOOPBACK


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for, given as seconds or as a date; None if unreadable."""
    if not value:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:12])
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return max(moment.timestamp() - now, 0.0)
