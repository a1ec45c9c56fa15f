"""`sync` against a server on this machine that speaks the format of Hugging Face Daily Papers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from .conftest import Command

DAYS = {"2025-12-04": ["2512.00001"], "2025-12-05": ["2512.00001", "2512.00002"]}


def entry(arxiv_id: str) -> dict[str, object]:
    title = f"A made-up paper, number {arxiv_id[-1]}"
    paper = {
        "id": arxiv_id, "title": title, "summary": "Nobody wrote it.", "publishedAt": "2025-12-03T18:00:00.000Z",
        "authors": [{"_id": "0" * 24, "name": "A. Nobody", "hidden": False}], "upvotes": 3, "key_of_tomorrow": [1],
    }  # fmt: skip
    return {"paper": paper, "publishedAt": "2025-12-03T13:00:00.000Z", "title": title, "numComments": 1}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        first_page = asked.get("p", ["0"])[0] == "0"
        listed = DAYS.get(asked.get("date", [""])[0], []) if first_page else []
        body = json.dumps([entry(arxiv_id) for arxiv_id in listed]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_paper_on_two_days_is_one_paper(broadsheet: Command, address: str) -> None:
    words = ["sync", "hf", "--since", "2025-12-04", "--until", "2025-12-05", "--url", address, "--json"]
    said = broadsheet(*words)
    assert said.code == 0, said.err
    assert (said.json()["added"], said.json()["problems"]) == (2, [])
    found = broadsheet("search", "id:2512.00002", "--json").json()["papers"]
    assert [paper["arxiv_id"] for paper in found] == ["2512.00002"]
    assert broadsheet(*words).json()["added"] == 0


def test_a_source_that_does_not_answer_is_named(broadsheet: Command) -> None:
    said = broadsheet("sync", "hf", "--since", "2025-12-04", "--url", "http://127.0.0.1:9/nothing")
    assert said.code == 4
    assert "127.0.0.1:9" in said.err
    assert "Traceback" not in said.err


def test_days_the_wrong_way_round_are_refused(broadsheet: Command) -> None:
    said = broadsheet("sync", "hf", "--since", "2025-12-05", "--until", "2025-12-04")
    assert said.code == 2
    assert "2025-12-04" in said.err
