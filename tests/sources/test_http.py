"""The polite client against a server that misbehaves in every way we know."""

from __future__ import annotations

import email.utils
import gzip
import itertools
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broadsheet.sources import http
from broadsheet.sources.http import ARXIV, HUGGING_FACE, PoliteClient, TryAgain
from broadsheet.sources.record import SourceError

from .conftest import Answer, Clock, Server

Make = Callable[..., PoliteClient]
TYPES = ("application/atom+xml", "text/xml")
GOOD = Answer(b"good")


def ask(client: PoliteClient, number: object = 1, **arguments: Any) -> bytes:
    return client.get({"n": str(number)}, bytes, types=TYPES, **arguments)


# --- pace ------------------------------------------------------------------------------------------------------


def test_arxiv_is_asked_once_in_three_seconds(client: Make, server: Server, clock: Clock) -> None:
    server.answer = lambda request: GOOD
    one, other = client("/api"), client("/oai")  # two doors, one service
    ask(one, 1)
    clock.now += 1
    ask(other, 2)
    ask(one, 3)
    clock.now += 10
    ask(one, 4)
    assert clock.sleeps == pytest.approx([2, 3])
    assert len(server.requests) == 4
    assert server.requests[0].headers["User-Agent"].startswith("broadsheet/")


def test_services_and_this_machine_keep_their_own_pace() -> None:
    assert ARXIV.interval == 3.0
    assert "export.arxiv.org" in ARXIV.hosts
    assert "oaipmh.arxiv.org" in ARXIV.hosts
    for url in ("https://export.arxiv.org/api/query", "https://oaipmh.arxiv.org/oai"):
        with pytest.raises(ValueError, match="interval must be at least 3 s for arxiv, got 1"):
            PoliteClient(ARXIV, base_url=url, interval=1.0)


PROCESS = """
import sys
from pathlib import Path
from broadsheet.sources.http import ARXIV, PoliteClient
with PoliteClient(ARXIV, base_url=sys.argv[1], folder=Path(sys.argv[2]), interval=0.2) as client:
    for number in range(4):
        client.get({"n": f"{sys.argv[3]}-{number}"}, bytes, types=("application/atom+xml",))
"""


def test_processes_keep_the_pace_together_over_one_connection(server: Server, tmp_path: Path) -> None:
    server.answer = lambda request: Answer(b"good", wait=0.02)
    processes = [
        subprocess.Popen([sys.executable, "-c", PROCESS, server.url, str(tmp_path / "http"), str(number)])
        for number in range(3)
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    times = [request.time for request in server.requests]
    assert len({request.query["n"] for request in server.requests}) == len(times) == 12
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) > 0.19
    assert server.most_at_once == 1


def test_threads_of_one_client_take_turns(client: Make, server: Server) -> None:
    server.answer = lambda request: Answer(b"good", wait=0.02)
    shared = client()
    threads = [threading.Thread(target=ask, args=(shared, number)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests) == 6
    assert server.most_at_once == 1


def test_a_clock_set_back_or_a_damaged_file_does_not_stop_us(
    client: Make, server: Server, clock: Clock, tmp_path: Path
) -> None:
    server.answer = lambda request: GOOD
    ask(client(), 1)
    clock.now -= 1_000_000
    ask(client(), 2)
    (pace,) = (tmp_path / "http").glob("*.next")
    for damage in ("", "soon", "nan", "inf", "1e300"):
        pace.write_text(damage)
        ask(client(), damage)
    assert max(clock.sleeps) <= 3


# --- faults that pass ------------------------------------------------------------------------------------------


def test_a_request_to_wait_is_followed_in_seconds(client: Make, server: Server, clock: Clock) -> None:
    server.answers = [Answer(status=429, headers={"Retry-After": "17"}), GOOD]
    assert ask(client()) == b"good"
    assert sum(clock.sleeps) == pytest.approx(17)


def test_a_request_to_wait_is_followed_to_a_time(client: Make, server: Server, clock: Clock) -> None:
    until = email.utils.formatdate(clock.now + 42, usegmt=True)
    server.answers = [Answer(status=503, headers={"Retry-After": until}), GOOD]
    assert ask(client()) == b"good"
    assert sum(clock.sleeps) == pytest.approx(42)


@pytest.mark.parametrize("value", ["soon", "-5", "", "Mon, 99 Foo 2025", "٣"])
def test_a_wait_that_cannot_be_read_is_our_own(
    client: Make, server: Server, clock: Clock, value: str
) -> None:
    server.answers = [Answer(status=429, headers={"Retry-After": value.encode().decode("latin-1")}), GOOD]
    assert ask(client()) == b"good"
    assert sum(clock.sleeps) == pytest.approx(3)


def test_a_wait_in_the_past_is_none_but_the_pace_holds(client: Make, server: Server, clock: Clock) -> None:
    server.answers = [Answer(status=503, headers={"Retry-After": "Mon, 01 Jan 2024 00:00:00 GMT"}), GOOD]
    assert ask(client()) == b"good"
    assert sum(clock.sleeps) == pytest.approx(3)


def test_a_long_wait_is_not_sat_out_but_told(client: Make, server: Server, clock: Clock) -> None:
    server.answers = [Answer(status=429, headers={"Retry-After": "7200"})]
    with pytest.raises(SourceError, match="asks to wait until 2025-12-08 02:00 UTC: try again then"):
        ask(client())
    assert clock.sleeps == []
    server.answers = [Answer(status=429, headers={"Retry-After": "9" * 400})]
    with pytest.raises(SourceError, match="asks to wait until"):
        ask(client())


def test_the_wait_doubles_and_attempts_end(client: Make, server: Server, clock: Clock) -> None:
    server.answer = lambda request: Answer(status=503)
    with pytest.raises(SourceError, match="in 5 attempts: HTTP 503; try again later"):
        ask(client())
    assert len(server.requests) == 5
    assert clock.sleeps == pytest.approx([3, 6, 12, 24])


def test_the_wait_outlives_the_client(client: Make, server: Server, clock: Clock) -> None:
    server.answers = [Answer(status=429, headers={"Retry-After": "60"})]
    with pytest.raises(SourceError, match="1 attempts"):
        ask(client(attempts=1))
    server.answers = [GOOD]
    ask(client())
    assert sum(clock.sleeps) == pytest.approx(60)


def test_waits_are_spread(client: Make, server: Server, clock: Clock) -> None:
    server.answers = [Answer(status=500), Answer(status=500), GOOD]
    ask(client(chance=lambda: 0.0, interval=0.0))
    assert clock.sleeps == pytest.approx([1.5, 3.0])


@pytest.mark.parametrize(
    "fault",
    [
        Answer(b"long body", cut=3),
        Answer(b"long body", cut=0),
        Answer(gzip.compress(b"good" * 999)[:-20], headers={"Content-Encoding": "gzip"}),
        Answer(gzip.compress(b"good" * 999), headers={"Content-Encoding": "gzip"}, cut=30),
        Answer(b"not packed", headers={"Content-Encoding": "gzip"}),
        Answer(gzip.compress(b"good") + b"garbage", headers={"Content-Encoding": "gzip"}),
        Answer(status=500),
        Answer(status=502),
        Answer(status=504),
    ],
)
def test_faults_on_the_way_are_met_by_asking_again(client: Make, server: Server, fault: Answer) -> None:
    server.answers = [fault, fault, GOOD]
    assert ask(client()) == b"good"
    assert len(server.requests) == 3


def test_a_server_that_says_nothing_or_trickles_is_left(client: Make, server: Server) -> None:
    server.answer = lambda request: GOOD
    server.answers = [Answer(b"late", wait=0.6)]
    assert ask(client(timeout=0.2), 1) == b"good"
    server.answers = [Answer(b"x" * 100_000, drip=0.05)]
    assert ask(client(timeout=1.0, deadline=0.3), 2) == b"good"


def test_a_server_that_is_not_there_is_named(clock: Clock, tmp_path: Path) -> None:
    absent = PoliteClient(
        ARXIV, base_url="http://127.0.0.1:9", folder=tmp_path, attempts=2, clock=clock.time, sleep=clock.sleep
    )
    with absent, pytest.raises(SourceError, match=r"127\.0\.0\.1:9 did not answer .* connection failed"):
        ask(absent)


def test_an_answer_of_no_use_is_asked_for_again_and_not_kept(client: Make, server: Server) -> None:
    server.answer = lambda request: Answer(b"empty" if len(server.requests) < 3 else b"full")

    def parse(body: bytes) -> bytes:
        if body == b"empty":
            raise TryAgain("an empty page")
        return body

    assert client().get({}, parse, types=TYPES) == b"full"
    assert client().get({}, parse, types=TYPES) == b"full"
    assert len(server.requests) == 3


# --- faults that stay ------------------------------------------------------------------------------------------


def test_a_packed_answer_is_unpacked(client: Make, server: Server) -> None:
    text = b"good" * 10_000
    server.answers = [
        Answer(gzip.compress(text), headers={"Content-Encoding": "gzip"}),
        Answer(gzip.compress(text) + gzip.compress(b"more"), headers={"Content-Encoding": "x-gzip"}),
    ]
    assert ask(client(), 1) == text
    assert ask(client(), 2) == text + b"more"
    assert server.requests[0].headers["Accept-Encoding"] == "gzip"


def test_a_bomb_is_not_unpacked(client: Make, server: Server) -> None:
    bomb = gzip.compress(bytes(1_000_000)) * 300  # 300 MB in 300 kB
    server.answers = [Answer(bomb, headers={"Content-Encoding": "gzip"})]
    with pytest.raises(SourceError, match="more than 32 MiB"):
        ask(client())


def test_a_large_answer_is_broken_off(client: Make, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_LARGEST_BODY", 100_000)
    server.answers = [Answer(b"x" * 2_000_000)]
    with pytest.raises(SourceError, match="ask for fewer papers at once"):
        ask(client())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(status=404), "HTTP 404 .* check the question"),
        (Answer(status=403), "HTTP 403"),
        (Answer(status=204), "HTTP 204"),
        (Answer(status=304), "HTTP 304"),
        (Answer(b"<html>", kind="text/html"), "text/html where application/atom.xml is expected"),
        (Answer(b"x", kind=""), "an unknown type where"),
        (Answer(zlib.compress(b"x"), headers={"Content-Encoding": "deflate"}), "packed as 'deflate'"),
    ],
)
def test_what_no_repetition_mends_is_told_at_once(
    client: Make, server: Server, answer: Answer, message: str
) -> None:
    server.answers = [answer]
    with pytest.raises(SourceError, match=message):
        ask(client())
    assert len(server.requests) == 1


def test_an_error_that_explains_itself_is_read_where_asked_for(client: Make, server: Server) -> None:
    server.answer = lambda request: Answer(b"why", status=400)
    assert ask(client(), read_errors=True) == b"why"
    assert ask(client(), read_errors=True) == b"why"  # never from the cache
    assert len(server.requests) == 2


# --- where we go -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://export.arxiv.org/api/query",
        "https://example.org/",
        "https://export.arxiv.org.example.org/",
        "https://user:word@export.arxiv.org/",
        "https://export.arxiv.org:8443/",
        "ftp://127.0.0.1/",
        "file:///etc/hostname",
        "http://127.0.0.1.example.org/",
        "http://user@127.0.0.1/",
        "http://[::1",
        "",
    ],
)
def test_only_the_service_and_this_machine_are_asked(url: str) -> None:
    with pytest.raises(ValueError, match="base_url must be https on one of"):
        PoliteClient(HUGGING_FACE, base_url=url)


def test_numbers_out_of_range_are_refused() -> None:
    for arguments, message in (
        ({"attempts": 0}, "attempts"),
        ({"timeout": 0}, "timeout"),
        ({"deadline": -1}, "deadline"),
    ):
        with pytest.raises(ValueError, match=message):
            PoliteClient(ARXIV, base_url="http://127.0.0.1:9", **arguments)  # type: ignore[arg-type]


def test_redirects_on_the_same_host_are_followed_at_the_same_pace(
    client: Make, server: Server, clock: Clock
) -> None:
    server.answers = [Answer(status=301, headers={"Location": "/elsewhere?n=9"}), GOOD]
    assert ask(client("/api")) == b"good"
    assert [request.path for request in server.requests] == ["/api", "/elsewhere"]
    assert clock.sleeps == pytest.approx([3])


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1:9/", "https://example.org/", "//example.org/", "file:///etc/passwd"],
)
def test_redirects_to_strangers_are_not_followed(client: Make, server: Server, target: str) -> None:
    server.answers = [Answer(status=302, headers={"Location": target})]
    with pytest.raises(SourceError, match="not one of its own hosts"):
        ask(client())
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "target", ["http://[::1", "http://a b", "\x7f", "http://127.0.0.1:99999/", "http://[v1.x]/"]
)
def test_a_redirect_to_nonsense_is_a_fault_like_others(client: Make, server: Server, target: str) -> None:
    server.answer = lambda request: Answer(status=302, headers={"Location": target})
    with pytest.raises(SourceError, match=r"did not answer|own hosts|more than 5 times"):
        ask(client())


def test_redirects_in_a_circle_end(client: Make, server: Server) -> None:
    server.answer = lambda request: Answer(status=302, headers={"Location": "/again"})
    with pytest.raises(SourceError, match="more than 5 times"):
        ask(client())


def test_a_service_may_redirect_between_its_own_hosts_only(tmp_path: Path) -> None:
    arxiv = PoliteClient(ARXIV, base_url="https://export.arxiv.org/api/query", folder=tmp_path)
    with arxiv:
        assert arxiv._is_allowed("https://oaipmh.arxiv.org/oai?verb=Identify")
        assert not arxiv._is_allowed("http://oaipmh.arxiv.org/oai")
        assert not arxiv._is_allowed("http://127.0.0.1:80/")


# --- what is kept ----------------------------------------------------------------------------------------------


def test_an_answer_is_good_for_a_day_and_then_asked_about(client: Make, server: Server, clock: Clock) -> None:
    tags = {"ETag": '"one"', "Last-Modified": "Mon, 08 Dec 2025 00:00:00 GMT"}
    server.answers = [Answer(b"first", headers=tags)]
    assert ask(client()) == b"first"
    clock.now += 86_000
    assert ask(client()) == b"first"
    assert len(server.requests) == 1

    clock.now += 1000
    server.answers = [Answer(status=304)]
    assert ask(client()) == b"first"
    assert server.requests[1].headers["If-None-Match"] == '"one"'
    assert server.requests[1].headers["If-Modified-Since"] == tags["Last-Modified"]
    clock.now += 86_000
    assert ask(client()) == b"first"
    assert len(server.requests) == 2

    clock.now += 1000
    server.answers = [Answer(b"second")]
    assert ask(client()) == b"second"
    assert ask(client()) == b"second"
    assert len(server.requests) == 3


def test_a_kept_answer_that_can_no_longer_be_read_is_asked_for_again(
    client: Make, server: Server, clock: Clock
) -> None:
    server.answers = [Answer(b"old", headers={"ETag": '"one"'})]
    ask(client())

    def parse(body: bytes) -> bytes:
        if body == b"old":
            raise SourceError("no longer readable")
        return body

    server.answers = [Answer(b"new")]
    assert client().get({"n": "1"}, parse, types=TYPES) == b"new"
    server.answers = [Answer(b"old", headers={"ETag": '"one"'})]
    clock.now += 90_000
    ask(client())
    clock.now += 90_000
    server.answers = [Answer(status=304), Answer(b"new")]
    assert client().get({"n": "1"}, parse, types=TYPES) == b"new"


def test_answers_of_another_question_or_not_to_be_kept_are_asked_for(client: Make, server: Server) -> None:
    server.answer = lambda request: Answer(request.query["n"].encode())
    assert [ask(client(), number) for number in (1, 2, 1)] == [b"1", b"2", b"1"]
    assert ask(client(), 1, keep=False) == b"1"
    assert len(server.requests) == 3


def test_a_folder_that_cannot_be_written_is_told(client: Make, server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    server.answer = lambda request: GOOD
    with pytest.raises(SourceError, match="set BROADSHEET_HOME to a folder of yours"):
        ask(client(folder=tmp_path / "file"))
    assert server.requests == []


def test_everything_is_kept_in_the_cache_folder_unless_told(
    server: Server, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROADSHEET_HOME", str(tmp_path / "home"))
    server.answer = lambda request: GOOD
    with PoliteClient(ARXIV, base_url=server.url, clock=clock.time, sleep=clock.sleep) as client:
        ask(client)
    assert {path.name for path in (tmp_path / "home").iterdir()} == {"cache"}
    assert list((tmp_path / "home" / "cache" / "http").glob("*.next"))
