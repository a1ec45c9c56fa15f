"""How fast pages come: an installation with 75,000 papers, one server process, requests over loopback.

    BROADSHEET_DATA=... python benchmarks/pages.py [--home FOLDER] [--requests 300]

Fills a database from ``arxiv-2025-2026.jsonl.xz`` (found in BROADSHEET_DATA), starts ``broadsheet serve`` and asks
for pages drawn at random over one connection that is kept open. ``--home`` keeps the database for another time.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

import psutil

FILE = "arxiv-2025-2026.jsonl.xz"
BAR_MEDIAN, BAR_P99 = 25.0, 100.0


def find_data() -> Path:
    for folder in os.environ.get("BROADSHEET_DATA", "").split(os.pathsep):
        for path in Path(folder or "/nonexistent").rglob(FILE):
            return path
    raise SystemExit(f"{FILE} is not in any folder of BROADSHEET_DATA")


def broadsheet(*words: str) -> list[str]:
    return [sys.executable, "-c", "from broadsheet.cli import main; main()", *words]


def pages(database: Path, count: int) -> dict[str, Callable[[random.Random], str]]:
    with sqlite3.connect(database) as connection:
        days = [row[0] for row in connection.execute("SELECT DISTINCT day FROM papers_listing")]
        ids = [
            r[0]
            for r in connection.execute(
                "SELECT arxiv_id FROM papers_paper ORDER BY random() LIMIT ?", (count,)
            )
        ]
        authors = [
            r[0]
            for r in connection.execute("SELECT slug FROM papers_author ORDER BY random() LIMIT ?", (count,))
        ]
        runs = [r[0] for r in connection.execute("SELECT arxiv_id FROM papers_paper WHERE method != ''")]
    connection.close()
    made: dict[str, Callable[[random.Random], str]] = {
        "feed, newest": lambda _: "/",
        "feed, a day": lambda r: f"/day/{r.choice(days)}",
        "feed, page 2": lambda r: f"/day/{r.choice(days)}?page=2",
        "feed, a month": lambda r: f"/month/{r.choice(days)[:7]}",
        "paper": lambda r: f"/papers/{r.choice(ids)}",
        "author": lambda r: f"/authors/{quote(r.choice(authors))}",
        "claims": lambda _: "/claims",
        "search": lambda r: (
            "/search?q=" + quote(r.choice(["scaling law", "graph", "title:survival", '"large language"']))
        ),
    }
    if runs:
        made["paper that runs"] = lambda r: f"/papers/{r.choice(runs)}"
    return made


def measure(
    connection: http.client.HTTPConnection, address: Callable[[], str], count: int
) -> tuple[list[float], int]:
    times, largest = [], 0
    for n in range(count + 5):
        path = address()
        begun = time.perf_counter()
        connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()
        response.read()
        spent = 1e3 * (time.perf_counter() - begun)
        if response.status not in (200, 404):
            raise SystemExit(f"{path}: {response.status}")
        if n >= 5 and response.status == 200:
            times.append(spent)
    connection.request("GET", address())
    largest = len(connection.getresponse().read())
    return times, largest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="keep the database here")
    parser.add_argument("--requests", type=int, default=300, help="requests of each kind of page")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = given.home or Path(scratch)
        env = os.environ | {"BROADSHEET_HOME": str(home)}
        database = home / "broadsheet.sqlite3"
        if not database.exists():
            subprocess.run(broadsheet("import", str(find_data())), env=env, check=True)
        server = subprocess.Popen(
            broadsheet("serve", "--port", "0", "--json"), env=env, stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None
            said = ""
            while "}" not in said:
                said += server.stdout.readline()
            where = urlsplit(json.loads(said)["address"])
            connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
            chance = random.Random(1)
            process = psutil.Process(server.pid)
            print(
                f"bars: median {BAR_MEDIAN:g} ms, p99 {BAR_P99:g} ms; cpu is the server's own time a request"
            )
            print(f"{'page':18}{'median':>9}{'p99':>9}{'most':>9}{'cpu':>9}{'HTML':>9}")
            for name, draw in pages(database, 4 * given.requests).items():
                before = sum(process.cpu_times()[:2])
                times, size = measure(connection, lambda draw=draw: draw(chance), given.requests)
                cpu = 1e3 * (sum(process.cpu_times()[:2]) - before) / (given.requests + 6)
                middle, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
                row = f"{name:18}{middle:9.1f}{p99:9.1f}{max(times):9.1f}{cpu:9.1f}{size:9d}"
                print(row if middle < BAR_MEDIAN and p99 < BAR_P99 else f"{row}   over")
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
