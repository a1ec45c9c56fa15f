"""SIGKILL at random moments: no half-written result, nothing lost, and the rest resumes."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from broadsheet.lab.catalogue import Paper
from broadsheet.lab.progress import running
from broadsheet.lab.store import Result, Store
from lab.shelf import one_claim

BODY = """
    from pathlib import Path
    kept = []
    for part in run.progress(range(4), label="parts"):
        def compute():
            with open(LOG, "a") as log:
                log.write(f"{NAME} {run.seeds[0]} {part}\\\\n")
            time.sleep(0.02)
            return part + run.seeds[0]
        kept.append(run.cached(f"part {part}", compute))
    run.table("parts", __import__("pandas").DataFrame({"x": kept * 2000}), caption="All parts.")
    return Measured(sum(kept) / 1000)
"""


def whole(result: Result) -> bool:
    """Whether a stored result is all there: its numbers and every file that it names."""
    rows = result.path(result.tables[0].file).read_text().splitlines()
    return result.value == (6 + 4 * result.seeds[0]) / 1000 and len(rows) == 8001


def left_in(folder: Path) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def test_killed_twenty_times_at_random_moments(
    paper_of: Callable[..., Paper], tmp_path: Path, home: Path, record_property: Callable[..., None]
) -> None:
    log = tmp_path / "computed"
    source = "\n".join(
        one_claim(BODY.replace("LOG", repr(str(log))).replace("NAME", name)).replace(
            "def heads", f"def {name}"
        )
        for name in ("one", "two", "three")
    ).replace("\\\\n", "\\n")
    paper = paper_of(source)
    shelf = (paper.package.split(".")[0], paper.folder.parents[1])

    def start(seed: int) -> subprocess.Popen[str]:
        code = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(shelf[1].parent)!r})
from broadsheet.lab import load
from broadsheet.lab.execute import measure
print("up", flush=True)
measure(load([({shelf[0]!r}, Path({str(shelf[1])!r}))]).papers, seeds=[{seed}])
"""
        return subprocess.Popen([sys.executable, "-c", code], stdout=-1, text=True)

    seed_of_chance = random.randrange(2**32)
    record_property("seed", seed_of_chance)  # printed with a failure, to repeat it
    chance = random.Random(seed_of_chance)
    killed, seed, before = 0, 0, set()
    while killed < 20:
        with start(seed) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            time.sleep(chance.uniform(0, 1.5))
            over = process.poll() is not None
            process.kill()
        if over:  # it was faster: nothing was killed, and the next round has new work
            assert process.returncode == 0
            seed += 1
        else:
            killed += 1
        until = time.monotonic() + 10
        while left_in(tmp_path) and time.monotonic() < until:
            time.sleep(0.02)
        assert left_in(tmp_path) == [], seed_of_chance
        for file in home.rglob("result.json"):
            if not file.parent.name.startswith(".partial-"):
                json.loads(file.read_text())
        now = {str(r.folder) for r in Store().everything()}
        assert before <= now, "a stored result is never lost"
        assert all(whole(result) for result in Store().everything()), seed_of_chance
        before = now
    for last in range(seed + 1):
        with start(last) as process:
            assert process.wait(120) == 0
    results = list(Store().everything())
    assert all(whole(result) for result in results)
    found = sorted((result.claim, result.seeds) for result in results)
    assert found == sorted((name, (s,)) for name in ("one", "two", "three") for s in range(seed + 1)), (
        "every claim once: what was stored is not measured again"
    )
    assert not list(home.rglob(".partial-*"))
    assert not list(home.rglob("*.half"))
    assert not list((home / "cache").rglob("*.json")), "parts of what has been measured are gone"
    assert running() == []
    # A part that was kept is not computed again: only what a kill interrupted is, once a kill at most.
    lines = log.read_text().splitlines()
    assert len(lines) <= len(set(lines)) + killed


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_leftovers_of_a_killed_run_do_not_hinder_the_next(paper_of: Callable[..., Paper], home: Path) -> None:
    from broadsheet.lab.execute import measure

    paper = paper_of(one_claim("return Measured(0.5)"))
    left = Store().begin(paper.key, "heads")
    (left / "result.json").write_text('{"schema": 1, "val')
    (left / ".scratch").mkdir()
    (home / "running").mkdir()
    (home / "running" / "demo--coin--heads.json").write_text('{"pid": 1')
    (result,) = measure([paper])
    assert result.folder is not None
    assert not left.exists()
