"""How fast 74,710 real arXiv records come into the database, and what a killed import leaves behind.

    BROADSHEET_DATA=folder python benchmarks/importing.py [--kills 5]

reads ``arxiv-2025-2026.jsonl.xz`` from a folder of ``BROADSHEET_DATA``. Everything is measured in processes of their
own: reading and unpacking the file, the full-text index, authors and the largest resident size included.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

IMPORT = """
import json, resource, sys, time
from pathlib import Path
from broadsheet.site.papers import database
database.prepare()
from broadsheet.site.papers.importing import import_records
from broadsheet.sources import jsonl
print("ready", flush=True)
faults = []
wall, cpu = time.perf_counter(), time.process_time()
summary = import_records(jsonl.read(Path(sys.argv[1]), on_problem=faults.append), source="jsonl")
print(json.dumps({
    "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu,
    "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "added": summary.added, "changed": summary.changed, "unchanged": summary.unchanged, "skipped": summary.skipped,
    "problems": len(summary.problems) + len(faults),
}), flush=True)
"""


def start(home: Path, file: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", IMPORT, str(file)],
        env={
            **os.environ,
            "BROADSHEET_HOME": str(home),
            "DJANGO_SETTINGS_MODULE": "broadsheet.site.settings",
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def finish(process: subprocess.Popen[str]) -> dict[str, float]:
    said, _ = process.communicate()
    if process.returncode:
        sys.exit(process.returncode)
    return json.loads(said)


def check(home: Path) -> tuple[int, int]:
    """Compare index and table; return the number of imported papers and of different ids."""
    database = sqlite3.connect(home / "broadsheet.sqlite3", isolation_level=None)
    assert database.execute("PRAGMA quick_check").fetchone() == ("ok",)
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    database.execute("INSERT INTO papers_search(papers_search, rank) VALUES ('integrity-check', 1)")
    (rows,) = database.execute("SELECT count(*) FROM papers_paper").fetchone()
    (indexed,) = database.execute("SELECT count(*) FROM papers_search_docsize").fetchone()
    assert rows == indexed, (rows, indexed)
    papers, ids = database.execute(
        "SELECT count(*), count(DISTINCT arxiv_id) FROM papers_paper WHERE sources != ''"
    ).fetchone()
    database.close()
    return papers, ids


def row(name: str, done: dict[str, float]) -> None:
    records = done["added"] + done["changed"] + done["unchanged"] + done["skipped"]
    print(
        f"| {name} | {done['wall']:.1f} | {done['cpu']:.1f} | {records / done['wall']:,.0f} | {done['memory']:.0f} "
        f"| {done['added']:,.0f} | {done['changed']:,.0f} | {done['unchanged']:,.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    from broadsheet.places import data_folders

    found = [p for folder in data_folders() for p in folder.rglob("arxiv-2025-2026.jsonl.xz")]
    if not found:
        sys.exit("arxiv-2025-2026.jsonl.xz is in no folder of BROADSHEET_DATA")
    print(f"load {os.getloadavg()[0]:.1f}\n")
    print(
        "| import | wall s | cpu s | records/s | peak MB | added | changed | unchanged |\n|---|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary) / "whole"
        first = finish(start(home, found[0]))
        row("first", first)
        row("second", finish(start(home, found[0])))
        papers, ids = check(home)
        print(f"\n{papers:,} papers, {ids:,} ids, index equal to the table; "
              f"{(home / 'broadsheet.sqlite3').stat().st_size / 1e6:,.0f} MB")  # fmt: skip
        home = Path(temporary) / "killed"
        rng = random.Random(given.seed)
        for _ in range(given.kills):
            process = start(home, found[0])
            time.sleep(rng.uniform(0.05, 0.9) * first["wall"])
            process.send_signal(signal.SIGKILL)
            process.wait()
            papers, ids = check(home)
            print(f"killed: {papers:,} papers, {ids:,} ids, index equal to the table")
        if given.kills:
            last = finish(start(home, found[0]))
            papers, ids = check(home)
            print(f"then finished: {papers:,} papers, {ids:,} ids ({last['added']:,.0f} added, "
                  f"{last['unchanged']:,.0f} unchanged), index equal to the table")  # fmt: skip


if __name__ == "__main__":
    main()
