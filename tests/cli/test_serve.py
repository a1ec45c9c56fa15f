"""`serve`: an address, a page, and a port that is taken."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from .conftest import Command


def test_serves_the_first_page_and_stops(home: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "broadsheet", "serve", "--port", "0"],
        env={**os.environ, "BROADSHEET_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert "http://127.0.0.1:" in line, server.stderr.read() if server.stderr else line
        address = line.split("http://")[1].split()[0]
        with urllib.request.urlopen(f"http://{address}/", timeout=30) as answer:
            assert answer.status == 200
            assert b"Flexible Parametric Modelling" in answer.read()
    finally:
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=20)
    assert "Traceback" not in out + err
    assert server.returncode in (0, 130)


def test_a_page_that_fails_says_in_the_terminal_why(home: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "broadsheet", "serve", "--port", "0"],
        env={**os.environ, "BROADSHEET_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split("http://")[1].split()[0]
        with sqlite3.connect(home / "broadsheet.sqlite3") as database:
            database.execute("DROP TABLE papers_listing")
        with pytest.raises(urllib.error.HTTPError, match="500"):
            urllib.request.urlopen(f"http://{address}/day/2025-12-08", timeout=30)
    finally:
        server.send_signal(signal.SIGINT)
        _, err = server.communicate(timeout=20)
    assert "Internal Server Error: /day/2025-12-08" in err
    assert "no such table: papers_listing" in err


def test_a_port_in_use_is_named_before_anything_is_done(broadsheet: Command, home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = broadsheet("serve", "--port", str(port))
    assert said.code == 6
    assert str(port) in said.err
    assert f"--port {port + 1}" in said.err
    assert not home.exists()
