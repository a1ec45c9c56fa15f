"""A claim may do what it likes: what comes back is one outcome, and nothing it started is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from broadsheet.claims import Verdict
from broadsheet.lab import limited
from broadsheet.lab.limited import Job, Outcome, Stopped, run_limited
from lab.shelf import FACTS, Shelf, one_claim

Runner = Callable[..., Outcome]


@pytest.fixture
def job_of(shelf: Shelf, tmp_path: Path) -> Callable[..., Job]:
    def make(body: str, before: str = "", facts: str = FACTS, **changed: Any) -> Job:
        folder = shelf.put(textwrap.dedent(before) + "\n" + one_claim(body), facts=facts)
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        told: dict[str, Any] = {
            "package": f"{shelf.name}.demo.coin",
            "folder": str(folder),
            "claim": "heads",
            "scale": "smoke",
            "seeds": (0, 1),
            "minutes": 0.5,
            "memory_gb": 1.0,
            "needs": (),
            "data": (),
            "out": str(out),
            "cache_dir": str(tmp_path / "cache"),
            "fetch": False,
        }
        return Job(**told | changed)

    return make


@pytest.fixture
def run(job_of: Callable[..., Job]) -> Runner:
    def measure(body: str, **changed: Any) -> Outcome:
        return run_limited(job_of(body, **changed), lambda message: None)

    return measure


def test_a_measurement_comes_back_with_all_about_it(run: Runner) -> None:
    outcome = run(
        """
        import numpy as np
        run.table("all", __import__("pandas").DataFrame({"x": [1.0]}), caption="All.")
        print("words on standard output do no harm")
        parts = {"a": np.arange(2), "b": float("nan")}
        return Measured(np.float64(0.1) + 0.2, 0.25, np.float32(0.5), note="n", parts=parts)
        """
    )
    assert outcome.measured is not None
    assert outcome.measured.value == 0.1 + 0.2
    assert outcome.measured.parts == {"a": [0, 1], "b": None}
    assert outcome.tables[0].file == "table-all.csv"
    assert {"python", "broadsheet", "numpy", "pandas"} <= set(outcome.versions)
    assert outcome.machine["cores"] >= 1
    assert outcome.started.endswith("Z")
    assert outcome.memory_gb is not None
    assert 0.01 < outcome.memory_gb < 1
    assert outcome.cpu_seconds is not None
    assert 0 < outcome.cpu_seconds < 30


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ValueError('bad luck')", r"raised ValueError: bad luck \(claims\.py, line \d+, in heads\)"),
        ("raise KeyboardInterrupt", "raised KeyboardInterrupt"),
        ("assert 1 == 2", "raised AssertionError"),
        ("raise RuntimeError('x' * 10**6)", "raised RuntimeError: x{100}"),
        ("return heads(run)", "raised RecursionError"),
        ("return 0.5", "the claim returned float, expected broadsheet.claims.Measured"),
        ("pass", "the claim returned NoneType"),
        ("return Measured('many')", "could not convert string to float"),
        ("return Measured(1.0, 2.0, 1.0)", "low must not exceed high"),
        ("sys.exit(4)", r"called sys\.exit\(4\) instead of returning"),
        ("os._exit(3)", "exit code 3 before it returned"),
        ("print('last words'); os._exit(0)", "exit code 0 before it returned what it measured: last words"),
        (
            "import ctypes; ctypes.string_at(0)",
            r"crashed: Segmentation fault \(SIGSEGV\) \(claims\.py, line \d+, in heads\)",
        ),
        ("os.abort()", r"crashed: Aborted \(SIGABRT\)"),
        ("os.kill(os.getpid(), 9)", r"killed by the system \(SIGKILL\), most likely because memory ran out"),
        ("os.killpg(0, 9)", "SIGKILL"),
        ("import no_such_module", "raised ModuleNotFoundError: No module named 'no_such_module'"),
        (
            "(_ for _ in ()).throw(OSError(30, 'Read-only file system', '/x'))",
            "OSError: Read-only file system: /x",
        ),
    ],
)
def test_every_way_to_fail_is_one_message(run: Runner, body: str, said: str) -> None:
    outcome = run(body)
    assert outcome.measured is None
    assert outcome.verdict is Verdict.FAILED
    assert __import__("re").search(said, outcome.reason), outcome.reason
    assert "\n" not in outcome.reason
    assert len(outcome.reason) < 1200
    assert len(outcome.error) <= 8000


def test_what_a_claim_that_fails_at_import_says_is_kept(run: Runner) -> None:
    outcome = run("return Measured(0.5)", before="import no_such_module_either")
    assert "No module named 'no_such_module_either' (claims.py, line" in outcome.reason
    assert "Traceback" in outcome.error


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_claim_that_hangs_is_ended_also_if_it_refuses(run: Runner, stubborn: bool) -> None:
    body = "import signal\n" + ("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" if stubborn else "")
    began = time.monotonic()
    outcome = run(body + "while True: time.sleep(60)", minutes=0.01)
    assert "took longer than its time limit of 0.6 s at scale smoke" in outcome.reason
    assert time.monotonic() - began < 8


def test_a_claim_that_holds_the_interpreter_is_ended(run: Runner) -> None:
    # One call into C that never returns to Python and never lets another thread run.
    outcome = run("import ctypes; ctypes.PyDLL(None).sleep(60)", minutes=0.01)
    assert "time limit" in outcome.reason


def test_a_claim_that_eats_memory_is_ended(run: Runner) -> None:
    outcome = run(
        """
        held = []
        while True:
            held.append(bytearray(os.urandom(1 << 20)) * 20)
        """,
        memory_gb=0.2,
    )
    assert "more than its limit of 0.2 GB" in outcome.reason
    assert outcome.memory_gb is not None
    assert outcome.memory_gb > 0.2


def test_memory_of_a_claims_children_counts(run: Runner) -> None:
    eat = "import os, time; held = [bytearray(os.urandom(1 << 20)) * 40 for _ in range(4)]; time.sleep(60)"
    outcome = run(
        f"""
        import subprocess
        children = [subprocess.Popen([sys.executable, "-c", {eat!r}]) for _ in range(3)]
        time.sleep(60)
        """,
        memory_gb=0.3,
    )
    assert "more than its limit of 0.3 GB" in outcome.reason


def test_one_large_request_is_refused_by_the_system(run: Runner) -> None:
    outcome = run("held = bytearray(10**11)", memory_gb=0.5)
    assert outcome.reason.startswith("ran out of memory; its limit is 0.5 GB")


ESCAPES = {
    "child": "subprocess.Popen(['sleep', '61'])",
    "own session": "subprocess.Popen(['sleep', '61'], start_new_session=True)",
    "orphan": "subprocess.run(['sh', '-c', 'setsid sleep 61 & exit 0'])",
    "ignores signals": "subprocess.Popen([sys.executable, '-c', 'import signal, time\\n"
    "for n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\\ntime.sleep(61)'])",
}


ENDS = ["return Measured(0.5)", "raise ValueError", "os._exit(1)", "time.sleep(60)"]
CASES = [(how, end) for how in ESCAPES for end in ENDS if how != "ignores signals" or end == ENDS[-1]]


@pytest.mark.parametrize(("how", "end"), CASES)
def test_nothing_that_a_claim_starts_outlives_it(run: Runner, tmp_path: Path, how: str, end: str) -> None:
    run(f"import subprocess\n{ESCAPES[how]}\ntime.sleep(0.2)\n{end}", minutes=0.02)
    assert left_in(tmp_path) == []


def left_in(folder: Path) -> list[psutil.Process]:
    """Return the processes that work in a claim's scratch folder, the dead ones not counted."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_until_none_is_left(folder: Path) -> None:
    """Dying takes a moment on a busy machine."""
    until = time.monotonic() + 10
    while left_in(folder) and time.monotonic() < until:
        time.sleep(0.02)
    assert left_in(folder) == []


def test_whoever_waits_can_stop_it(job_of: Callable[..., Job], tmp_path: Path) -> None:
    cancel = threading.Event()
    said: list[Mapping[str, Any]] = []

    def watch(message: Mapping[str, Any]) -> None:
        said.append(message)
        cancel.set()

    with pytest.raises(Stopped):
        run_limited(job_of("run.say('on my way')\ntime.sleep(60)"), watch, cancel.is_set)
    assert said == [{"say": "on my way"}]
    assert left_in(tmp_path) == []


def test_an_error_of_whoever_watches_ends_the_claim(job_of: Callable[..., Job], tmp_path: Path) -> None:
    def watch(message: Mapping[str, Any]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_limited(job_of("run.say('x')\ntime.sleep(60)"), watch)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_when_whoever_waits_is_killed_the_claim_dies_too(
    job_of: Callable[..., Job], tmp_path: Path, number: int
) -> None:
    job = job_of(
        "import subprocess\nsubprocess.Popen(['sleep', '61'], start_new_session=True)\nrun.say('up')\ntime.sleep(60)"
    )
    code = f"""
import sys
sys.path.insert(0, {str(Path(job.folder).parents[2])!r})
from broadsheet.lab.limited import Job, run_limited
run_limited({job!r}, lambda message: print(message, flush=True))
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=-1, text=True) as waiting:
        assert waiting.stdout is not None
        assert "up" in waiting.stdout.readline()
        assert len(left_in(tmp_path)) >= 2
        waiting.send_signal(number)
        waiting.wait(10)
    wait_until_none_is_left(tmp_path)


@pytest.mark.parametrize("seen", [0.5, 0.0])  # seconds: long enough to be noticed before, and not
def test_when_the_guard_is_killed_the_claim_dies_too(run: Runner, tmp_path: Path, seen: float) -> None:
    outcome = run(
        f"import subprocess\nsubprocess.Popen(['sleep', '61'])\ntime.sleep({seen})\n"
        "os.kill(os.getppid(), 9)\ntime.sleep(60)"
    )
    assert outcome.reason == "its process was ended from outside"
    wait_until_none_is_left(tmp_path)


def test_libraries_are_told_to_use_one_thread_before_they_are_loaded(run: Runner) -> None:
    outcome = run(
        """
        for name in ("OMP", "OPENBLAS", "MKL"):
            assert os.environ[name + "_NUM_THREADS"] == "1"
        import numpy as np
        np.ones((300, 300)) @ np.ones((300, 300))
        return Measured(len(os.listdir("/proc/self/task")))
        """
    )
    assert outcome.measured is not None
    assert outcome.measured.value == 1


def test_hashes_and_random_numbers_are_the_same_each_time(run: Runner) -> None:
    body = "import random\nreturn Measured(hash('x') % 1000 + random.random() + run.rng().random())"
    first, second = run(body), run(body)
    assert first.measured == second.measured is not None


def test_a_claim_floods_its_output_without_filling_anything(run: Runner) -> None:
    outcome = run(
        "for _ in range(200): print('x' * 100_000)\nprint('the end')\nraise ValueError('x')", minutes=1
    )
    assert "raised ValueError: x" in outcome.reason


def test_words_on_the_pipe_that_are_none_are_passed_over(run: Runner) -> None:
    outcome = run(
        """
        for number in range(3, 20):
            try: os.write(number, b"garbage\\n\\xff{{{\\n")
            except OSError: pass
        return Measured(0.5)
        """
    )
    assert outcome.measured is not None


def test_a_forked_child_does_not_speak_for_the_claim(run: Runner) -> None:
    outcome = run(
        """
        pid = os.fork()
        if pid == 0:
            run.say("from the child")
            os._exit(0)
        os.waitpid(pid, 0)
        return Measured(0.5)
        """
    )
    assert outcome.measured is not None


# --- what is lacking


def test_an_extra_that_is_not_installed_is_named_with_its_command(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(limited.EXTRAS, "torch", ("no_such_torch",))
    for needs, command in ((("torch",), "'.[torch]'"), (("no_such_thing",), "no_such_thing")):
        outcome = run("return Measured(0.5)", needs=needs)
        assert outcome.verdict is Verdict.NEEDS_HARDWARE
        assert f"run `pip install {command}`" in outcome.reason


def test_a_claim_can_say_itself_what_it_lacks(run: Runner) -> None:
    outcome = run("raise NeedsHardware('needs 64 GB of memory')")
    assert (outcome.verdict, outcome.reason) == (Verdict.NEEDS_HARDWARE, "needs 64 GB of memory")
    assert run("raise NeedsData('no table')").verdict is Verdict.NEEDS_DATA


DATA = """
[[data]]
name = "throws"
url = "https://data.example.org/throws.csv"
sha256 = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
bytes = 1
licence = "CC0-1.0"
"""


def test_absent_data_are_named_with_their_command(run: Runner) -> None:
    outcome = run("return Measured(0.5)", data=("throws",), facts=FACTS + DATA)
    assert outcome.verdict is Verdict.NEEDS_DATA
    assert "`broadsheet data fetch throws`" in outcome.reason
    assert "licence CC0-1.0" in outcome.reason
    inside = run("run.data('throws')\nreturn Measured(0.5)", facts=FACTS + DATA)
    assert (inside.verdict, inside.reason) == (Verdict.NEEDS_DATA, outcome.reason)
    undeclared = run("return Measured(0.5)", data=("nothing",))
    assert undeclared.verdict is Verdict.FAILED
    assert "no paper declares data named 'nothing'" in undeclared.reason


def test_data_that_are_here_are_handed_over(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "throws.csv").write_text("x")
    monkeypatch.setenv("BROADSHEET_DATA", str(tmp_path / "mine"))
    body = "return Measured(len(run.data('throws').read_text()))"
    for declared in (("throws",), ()):
        outcome = run(body, data=declared, facts=FACTS + DATA)
        assert outcome.measured is not None, outcome.reason
        assert outcome.measured.value == 1


def test_when_no_process_can_be_started_that_is_said(
    job_of: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    before = len(os.listdir("/proc/self/fd"))
    outcome = run_limited(job_of("return Measured(0.5)"), lambda message: None)
    assert "no process could be started for it: Resource temporarily unavailable" in outcome.reason
    assert len(os.listdir("/proc/self/fd")) == before
