"""What several tests of sources share."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import settings

from broadsheet import places
from broadsheet.sources.http import ARXIV, PoliteClient, Service

# A busy machine is no fault of the code under test, and nothing is to be left behind in the checkout.
settings.register_profile("sources", deadline=None, database=None)
settings.load_profile("sources")


@dataclass(frozen=True)
class Answer:
    """What the server says to one request.

    Args:
        body: The body.
        status: HTTP status.
        kind: Content-Type.
        headers: Further headers.
        cut: Number of bytes of the body after which the connection breaks.
        wait: Seconds before the answer.
        drip: Seconds between every two bytes.
    """

    body: bytes = b""
    status: int = 200
    kind: str = "application/atom+xml; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    wait: float = 0.0
    drip: float = 0.0


@dataclass(frozen=True)
class Request:
    """What the server was asked."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    time: float


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a client that went away is no fault of the server
            super().handle_error(request, address)


class Server:
    """An HTTP server on this machine that answers as told: from a list, then from a function."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.answer: Callable[[Request], Answer] = lambda request: Answer(status=418)
        self.requests: list[Request] = []
        self.at_once = 0
        self.most_at_once = 0
        self._guard = threading.Lock()
        self._httpd = _Quiet(("127.0.0.1", 0), self._handler())
        self._httpd.daemon_threads = True
        self._thread = threading.Thread(target=self._httpd.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._httpd.server_port}"

    def close(self) -> None:
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join()

    def _choose(self, request: Request) -> Answer:
        with self._guard:
            self.requests.append(request)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            return self.answers.pop(0) if self.answers else self.answer(request)

    def _done(self) -> None:
        with self._guard:
            self.at_once -= 1

    def _handler(server) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 5

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = dict(parse_qsl(parts.query, keep_blank_values=True))
                answer = server._choose(Request(parts.path, query, dict(self.headers), time.monotonic()))
                try:
                    self.send(answer)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
                finally:
                    server._done()

            def send(self, answer: Answer) -> None:
                time.sleep(answer.wait)
                self.send_response(answer.status)
                headers = {
                    "Content-Type": answer.kind,
                    "Content-Length": str(len(answer.body)),
                    **answer.headers,
                }
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                body = answer.body if answer.cut is None else answer.body[: answer.cut]
                if answer.drip:
                    for byte in body:
                        self.wfile.write(bytes([byte]))
                        time.sleep(answer.drip)
                else:
                    self.wfile.write(body)
                if answer.cut is not None:
                    self.close_connection = True

            def log_message(self, *args: Any) -> None:
                pass

        return Handler


class Clock:
    """A clock that stands still unless somebody sleeps by it."""

    def __init__(self) -> None:
        self.now = 1_765_152_000.0  # 2025-12-08 00:00 UTC
        self.sleeps: list[float] = []

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(server: Server, clock: Clock, tmp_path: Path) -> Iterator[Callable[..., PoliteClient]]:
    """Make clients of the server, which take their time from the clock and wait exactly as computed."""
    made: list[PoliteClient] = []

    def make(path: str = "", service: Service = ARXIV, **arguments: Any) -> PoliteClient:
        settings: dict[str, Any] = {
            "folder": tmp_path / "http",
            "timeout": 5.0,
            "clock": clock.time,
            "sleep": clock.sleep,
            "chance": lambda: 1.0,
            **arguments,
        }
        made.append(PoliteClient(service, base_url=server.url + path, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def given_page() -> Path:
    """The Daily Papers page among the shared data."""
    for folder in places.data_folders():
        for path in folder.rglob("daily-papers-page.txt"):
            return path
    pytest.skip("BROADSHEET_DATA names no folder with daily-papers-page.txt")


@pytest.fixture
def given_corpus() -> Path:
    """The small bulk file of arXiv metadata among the shared data."""
    for folder in places.data_folders():
        for path in folder.rglob("arxiv-5k.jsonl.gz"):
            return path
    pytest.skip("BROADSHEET_DATA names no folder with arxiv-5k.jsonl.gz")
