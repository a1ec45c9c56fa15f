"""Measuring many claims: one fault stops no other, nothing is measured twice, everything is told."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broadsheet.claims import Claim, Verdict
from broadsheet.lab import execute, progress
from broadsheet.lab import store as store_module
from broadsheet.lab.catalogue import Paper
from broadsheet.lab.execute import LocalExecutor, measure
from broadsheet.lab.limited import Job, Outcome
from broadsheet.lab.progress import Clock, Event, StateFile, running
from broadsheet.lab.store import DiskFull, Store, StoreError
from lab.shelf import FACTS, Shelf, one_claim

PaperOf = Callable[..., Paper]


def many(**bodies: str) -> str:
    return "\n".join(one_claim(body).replace("def heads", f"def {name}") for name, body in bodies.items())


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events if event.kind not in ("said", "progress")]


def test_a_fault_stops_no_other_claim(paper_of: PaperOf) -> None:
    paper = paper_of(
        many(
            one="return Measured(0.5)",
            raises="raise ValueError('bad luck')",
            crashes="os.abort()",
            nothing="return Measured(float('nan'))",
            lacks="raise NeedsHardware('needs a telescope')",
            last="return Measured(0.9)",
        )
    )
    events: list[Event] = []
    results = measure([paper], on_event=events.append)
    assert [r.verdict for r in results] == [
        Verdict.REPRODUCED,
        Verdict.FAILED,
        Verdict.FAILED,
        Verdict.FAILED,
        Verdict.NEEDS_HARDWARE,
        Verdict.NOT_REPRODUCED,
    ]
    assert results[3].value is None
    assert "NaN" in results[3].reason
    assert kinds(events) == ["started", "finished"] * 6
    assert [(e.number, e.count) for e in events if e.kind == "started"] == [(n, 6) for n in range(1, 7)]
    stored = {result.claim for result in Store().everything()}
    assert stored == {"one", "raises", "crashes", "nothing", "last"}, "what is lacking is no result"


def test_a_result_tells_how_it_came_about(paper_of: PaperOf) -> None:
    paper = paper_of(
        one_claim("time.sleep(0.05)\nreturn Measured.over_seeds([0.5, 0.52], note='two throws')")
    )
    (result,) = measure([paper], seeds=2)
    assert result.folder is not None
    text = (result.folder / "result.json").read_text()
    kept = json.loads(text)
    assert kept["schema"] == 1
    assert kept["verdict"] == "reproduced"
    assert kept["seeds"] == [0, 1]
    assert kept["published"] == 0.5
    assert kept["low"] < 0.51 < kept["high"]
    assert 0.05 <= kept["seconds"] < 5
    assert kept["code"]["fingerprint"] == paper.fingerprint
    assert kept["machine"]["cores"]
    assert kept["started"].endswith("Z")
    assert "NaN" not in text
    assert os.uname().nodename not in text or os.uname().nodename in ("localhost", "")


def test_nothing_is_measured_twice_unless_asked(paper_of: PaperOf) -> None:
    paper = paper_of(one_claim("return Measured(0.5)"))
    (first,) = measure([paper])
    events: list[Event] = []
    (same,) = measure([paper], on_event=events.append)
    assert kinds(events) == ["reused"]
    assert same.folder == first.folder
    assert events[0].result == first
    (again,) = measure([paper], again=True)
    assert again.folder != first.folder
    (more,) = measure([paper], seeds=[3])
    assert more.seeds == (3,)
    assert len(Store().history(paper.key, "heads")) == 3
    (paper.folder / "claims.py").write_text((paper.folder / "claims.py").read_text() + "# a change\n")
    assert kinds(tell(measure, [paper])) == ["started", "finished"]
    (paper.folder / "README.md").write_text("# Other words\n")
    assert kinds(tell(measure, [paper])) == ["reused"]


def tell(function: Callable[..., Any], *arguments: Any, **more: Any) -> list[Event]:
    events: list[Event] = []
    function(*arguments, on_event=events.append, **more)
    return events


def test_a_failure_is_tried_again(paper_of: PaperOf) -> None:
    paper = paper_of(one_claim("if os.path.exists('/proc/self/gone'): pass\nraise ValueError('x')"))
    assert kinds(tell(measure, [paper])) == kinds(tell(measure, [paper])) == ["started", "finished"]


def test_a_claim_without_that_scale_is_skipped(paper_of: PaperOf) -> None:
    paper = paper_of(one_claim("return Measured(0.5)", scales="['laptop']"))
    events: list[Event] = []
    assert measure([paper], "smoke", on_event=events.append) == []
    assert kinds(events) == ["skipped"]
    assert events[0].text == "cannot be measured at scale smoke; can at laptop"


def test_a_broken_paper_is_told_and_the_others_are_measured(shelf: Shelf) -> None:
    shelf.put("x = 1", slug="broken")
    shelf.put(one_claim("return Measured(0.5)"), slug="good", facts=FACTS.replace("00001", "00002"))
    events: list[Event] = []
    results = measure(shelf.load().papers, on_event=events.append)
    assert [r.paper for r in results] == ["demo/good"]
    assert kinds(events) == ["problem", "started", "finished"]
    assert "declares no claim" in events[0].text


def test_what_cannot_be_meant_is_refused_before_anything_runs(paper_of: PaperOf) -> None:
    paper = paper_of(one_claim("return Measured(0.5)"))
    for changed, said in (
        ({"scale": "huge"}, "scale must be one of smoke, laptop, paper, got 'huge'"),
        ({"seeds": 0}, "seeds must be at least 1"),
        ({"seeds": []}, "seeds must be at least 1"),
        ({"seeds": [-1]}, "numbers >= 0"),
        ({"executor": "cloud"}, "executor must be local or ray, got 'cloud'"),
        ({"jobs": 0}, "jobs must be at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=said):
            measure([paper], **changed)
    assert list(Store().everything()) == []


def test_progress_is_told_and_readable_from_outside(paper_of: PaperOf) -> None:
    paper = paper_of(
        one_claim(
            """
            run.say("throwing")
            for _ in run.progress(range(8), label="throws"):
                time.sleep(0.15)
            return Measured(0.5)
            """
        )
    )
    events: list[Event] = []
    seen: list[progress.Running] = []

    def watch(event: Event) -> None:
        events.append(event)
        seen.extend(running())

    measure([paper], on_event=watch)
    told = [event for event in events if event.kind == "progress"]
    fractions = [event.fraction for event in told]
    assert fractions[0] == 0.0
    assert fractions[-1] == 1.0
    assert fractions == sorted(fractions)
    middle = told[len(told) // 2]
    assert middle.label == "throws"
    assert middle.eta is not None
    assert 0.1 < middle.eta < 2
    assert next(e.text for e in events if e.kind == "said") == "throwing"
    assert {(s.paper, s.claim, s.scale, s.pid) for s in seen} == {(paper.key, "heads", "smoke", os.getpid())}
    assert any(s.fraction and s.said == "throwing" for s in seen)
    assert running() == []


def test_a_state_file_of_a_dead_process_is_cleared_away(home: Path) -> None:
    state = StateFile("demo/coin", "heads", "smoke")
    state.update(now=True)
    (file,) = (home / "running").glob("*.json")
    assert len(running()) == 1
    left = json.loads(file.read_text())
    for changed in ({"pid": 2**22 + 1}, {"process_started": left["process_started"] - 100}):
        file.write_text(json.dumps(left | changed))
        assert running() == []
        assert not file.exists()
    file.write_text("{")
    assert running() == []


def test_time_still_to_go_follows_from_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    clock = Clock()
    assert clock.eta(None) is None
    now[0] = 110  # ten seconds of preparation do not count
    assert clock.eta(0.0) is None
    now[0] = 120
    assert clock.eta(0.25) == pytest.approx(30)
    now[0] = 121
    assert clock.eta(0.1) is None, "a second loop begins anew"
    assert clock.elapsed == 21


def test_parts_survive_a_failure_and_end_with_the_measurement(paper_of: PaperOf, tmp_path: Path) -> None:
    body = f"""
        def throw():
            with open({str(tmp_path / "throws")!r}, "a") as file:
                file.write("x")
            return 0.5
        value = run.cached("throw", throw)
        if not os.path.exists({str(tmp_path / "fixed")!r}):
            raise ValueError("broken")
        return Measured(value)
    """
    paper = paper_of(one_claim(body))
    throws = tmp_path / "throws"
    assert measure([paper])[0].verdict is Verdict.FAILED
    (tmp_path / "fixed").touch()
    assert measure([paper])[0].verdict is Verdict.REPRODUCED
    assert throws.read_text() == "x", "the part of the failed run was used"
    assert measure([paper], again=True)[0].verdict is Verdict.REPRODUCED
    assert throws.read_text() == "xx", "measured anew means anew"
    (tmp_path / "fixed").unlink()
    measure([paper], again=True)
    assert throws.read_text() == "xxx"
    (tmp_path / "fixed").touch()
    measure([paper], again=True)
    assert throws.read_text() == "xxxx", "parts of a run that came to its end are no measurement anew"


def test_figures_of_a_failed_measurement_are_not_kept(paper_of: PaperOf) -> None:
    body = "(run.out / 'x.svg').write_text('x')\n{}"
    paper = paper_of(one_claim(body.format("raise ValueError")))
    (result,) = measure([paper])
    assert result.folder is not None
    assert os.listdir(result.folder) == ["result.json"]


# --- cancelling


def test_cancelling_keeps_what_was_measured(paper_of: PaperOf) -> None:
    paper = paper_of(many(one="return Measured(0.5)", two="time.sleep(60)", three="return Measured(0.5)"))
    cancel = threading.Event()
    events: list[Event] = []

    def watch(event: Event) -> None:
        events.append(event)
        if (event.kind, event.claim) == ("started", "two"):
            cancel.set()

    results = measure([paper], cancel=cancel, on_event=watch)
    assert [r.claim for r in results] == ["one"]
    assert kinds(events) == ["started", "finished", "started", "cancelled", "cancelled"]
    assert [r.claim for r in Store().everything()] == ["one"]
    assert not list(Store().folder.rglob(".partial-*"))


def test_ctrl_c_ends_the_claim_and_leaves_no_trace(paper_of: PaperOf) -> None:
    paper = paper_of(many(one="return Measured(0.5)", two="run.say('up')\ntime.sleep(60)"))

    def watch(event: Event) -> None:
        if event.text == "up":
            signal.raise_signal(signal.SIGINT)

    for jobs in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            measure([paper], on_event=watch, jobs=jobs)
        assert [r.claim for r in Store().everything()] == ["one"]
        assert not list(Store().folder.rglob(".partial-*"))
        assert running() == []


# --- side by side


def test_claims_side_by_side_give_the_same_results(paper_of: PaperOf) -> None:
    values = {f"claim_{n}": f"time.sleep(0.3)\nreturn Measured({n} / 10)" for n in range(4)}
    paper = paper_of(many(**values))
    results = measure([paper], jobs=4)
    assert [r.claim for r in results] == [f"claim-{n}" for n in range(4)]
    assert [r.value for r in results] == [0.0, 0.1, 0.2, 0.3]


def test_the_same_claim_in_two_processes_is_measured_once(paper_of: PaperOf, tmp_path: Path) -> None:
    paper = paper_of(
        one_claim(f"open({str(tmp_path / 'runs')!r}, 'a').write('x')\ntime.sleep(1)\nreturn Measured(0.5)")
    )
    code = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(paper.folder.parents[2])!r})
from broadsheet.lab import load
from broadsheet.lab.execute import measure
roots = [({paper.package.split(".")[0]!r}, Path({str(paper.folder.parents[1])!r}))]
measure(load(roots).papers, on_event=lambda event: print(event.kind, flush=True))
"""
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=-1, text=True) for _ in range(2)]
    said = sorted(process.communicate(timeout=60)[0].split() for process in both)
    assert said == [["started", "finished"], ["waiting", "reused"]]
    assert (tmp_path / "runs").read_text() == "x"


def test_waiting_for_another_process_can_be_cancelled(paper_of: PaperOf) -> None:
    paper = paper_of(one_claim("return Measured(0.5)"))
    cancel = threading.Event()
    events: list[Event] = []

    def watch(event: Event) -> None:
        events.append(event)
        cancel.set()

    with Store().lock(paper.key, "heads"):
        assert measure([paper], cancel=cancel, on_event=watch) == []
    assert kinds(events) == ["waiting", "cancelled"]


# --- the disk


def test_a_results_folder_that_cannot_be_written_is_told_first(
    paper_of: PaperOf, home: Path, tmp_path: Path
) -> None:
    paper = paper_of(one_claim(f"open({str(tmp_path / 'ran')!r}, 'w')\nreturn Measured(0.5)"))
    home.mkdir()
    (home / "results").write_text("a file")
    with pytest.raises(StoreError, match="cannot be written"):
        measure([paper])
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a read-only file system needs root")
def test_a_read_only_file_system_is_named(paper_of: PaperOf, home: Path) -> None:
    paper = paper_of(one_claim("return Measured(0.5)"))
    folder = home / "results"
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro", "none", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"this container may not mount: {mounted.stderr.decode().strip()}")
    try:
        with pytest.raises(
            StoreError, match="read-only file system; make that writable, or set BROADSHEET_HOME"
        ):
            measure([paper])
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_disk_that_fills_up_loses_no_other_result(paper_of: PaperOf, home: Path) -> None:
    paper = paper_of(
        many(
            one="return Measured(0.5)",
            two="(run.out / 'big').write_bytes(b'x' * 3_000_000)\nreturn Measured(0.5)",
            three="return Measured(0.5)",
        )
    )
    folder = home / "results"
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"this container may not mount: {mounted.stderr.decode().strip()}")
    try:
        with pytest.raises(DiskFull, match="two could not be measured"):
            measure([paper])
        assert [r.claim for r in Store().everything()] == ["one", "three"]
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_result_that_cannot_be_stored_is_told_and_handed_back(
    paper_of: PaperOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    paper = paper_of(many(one="return Measured(0.5)", two="return Measured(0.5)"))
    sync, full = store_module._sync, [True]

    def fail_once(path: Path) -> None:
        if full.pop() if full else False:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(path)

    monkeypatch.setattr(store_module, "_sync", fail_once)
    events: list[Event] = []
    first, second = measure([paper], on_event=events.append)
    assert (first.value, first.folder) == (0.5, None)
    assert second.folder is not None
    assert kinds(events) == ["started", "problem", "finished", "started", "finished"]
    problem = next(e for e in events if e.kind == "problem")
    assert "the disk is full" in problem.text
    assert "It was reproduced" in problem.text
    assert kinds(tell(measure, [paper])) == ["started", "finished", "reused"]


# --- executors


def test_an_executor_of_ones_own_can_be_given(paper_of: PaperOf) -> None:
    class Elsewhere:
        slots = 1

        def __init__(self) -> None:
            self.jobs: list[Job] = []
            self.closed = False

        def run(self, job: Job, paper: Paper, watch: Any, stopped: Any) -> Outcome:
            self.jobs.append(job)
            done = LocalExecutor().run(job, paper, watch, stopped)
            return dataclasses.replace(done, machine={"cores": 512})

        def close(self) -> None:
            self.closed = True

    there = Elsewhere()
    paper = paper_of(one_claim("return Measured(0.5)"))
    (result,) = measure([paper], executor=there)
    assert result.machine == {"cores": 512}
    assert there.closed
    assert there.jobs[0].claim == "heads"


def test_code_under_version_control_is_named_by_its_commit(paper_of: PaperOf) -> None:
    paper = paper_of(one_claim("return Measured(0.5)"))
    (result,) = measure([paper])
    assert (result.code["commit"], result.code["changed"]) == (None, None)
    root = paper.folder.parents[1]
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "x"]):
        subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True)
    execute._commit.cache_clear()
    (result,) = measure([paper], again=True)
    assert len(result.code["commit"]) == 40
    assert result.code["changed"] is False
    (paper.folder / "method.py").write_text("x = 1\n")
    (result,) = measure([paper])
    assert result.code["changed"] is True


def test_pairs_and_papers_may_be_mixed(paper_of: PaperOf) -> None:
    paper = paper_of(many(one="return Measured(0.5)", two="return Measured(0.5)"))
    claim: Claim = paper.claim("two")
    assert [r.claim for r in measure([(paper, claim), paper])] == ["two", "one"]


def test_a_claim_is_measured_within_half_a_second_of_its_own_time(paper_of: PaperOf) -> None:
    """The bar is for an idle machine; the best of five is compared, so that neighbours do not count."""
    paper = paper_of(one_claim("return Measured(0.5)"))
    took = []
    for _ in range(5):
        began = time.perf_counter()
        (result,) = measure([paper], again=True)
        took.append(time.perf_counter() - began - result.seconds)
    assert min(took) < 0.5, took


FULL = "OSError(28, 'No space left on device', 'figure.svg')"


@pytest.mark.parametrize(
    "body",
    [
        f"raise {FULL}",
        f"try:\n    raise {FULL}\nexcept OSError as error:\n    raise RuntimeError('writer failed') from error",
        f"try:\n    raise {FULL}\nexcept OSError:\n    raise RuntimeError('writer failed')",
    ],
)
def test_a_full_disk_gives_no_verdict(paper_of: PaperOf, home: Path, body: str) -> None:
    paper = paper_of(many(before="return Measured(0.5)", full=body, after="return Measured(0.5)"))
    with pytest.raises(DiskFull, match="full could not be measured to its end and has no verdict"):
        measure([paper])
    kept = [result.claim for result in Store().everything()]
    assert sorted(kept) == ["after", "before"]
    assert not list(home.glob("results/*/*/*/.partial-*"))
    assert running() == []


def test_a_failure_on_a_disk_that_is_full_gives_no_verdict(
    paper_of: PaperOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    paper = paper_of(many(full="raise RuntimeError('writer failed: -1')"))
    monkeypatch.setattr("broadsheet.lab.limited._LEAST_ROOM", 10**18)
    with pytest.raises(DiskFull):
        measure([paper])
    assert list(Store().everything()) == []


def test_what_is_kept_can_be_asked_for_where_nothing_can_be_written(
    paper_of: PaperOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    paper = paper_of(many(one="return Measured(0.5)", two="return Measured(0.5)"))
    one, two = paper.claims
    measure([(paper, one)])

    def closed(self: Store) -> None:
        raise StoreError("cannot be written")

    monkeypatch.setattr(Store, "check", closed)
    events: list[Event] = []
    (kept,) = measure([(paper, one)], on_event=events.append)
    assert (kept.value, kinds(events)) == (0.5, ["reused"])
    with pytest.raises(StoreError, match="cannot be written"):
        measure([(paper, one), (paper, two)])
