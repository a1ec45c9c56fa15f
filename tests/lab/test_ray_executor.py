"""The same on a Ray cluster: a real one, local, of one processor."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from broadsheet.claims import Verdict
from broadsheet.lab.catalogue import Paper
from broadsheet.lab.execute import measure
from broadsheet.lab.progress import Event
from broadsheet.lab.ray_executor import RayExecutor
from broadsheet.lab.store import Store
from lab.shelf import Shelf, one_claim

ray: Any = pytest.importorskip("ray")
# Ray warns of its own future and leaves sockets to the collector: neither is ours to repair.
pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    before = dict(os.environ)
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(
        num_cpus=1,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        object_store_memory=10**8,
    )
    yield
    ray.shutdown()
    os.environ.clear()
    os.environ.update(before)


def named(name: str, body: str, **declared: str) -> str:
    return one_claim(body, **declared).replace("def heads", f"def {name}")


@pytest.mark.usefixtures("cluster")
def test_claims_are_measured_on_the_cluster_within_the_same_limits(paper_of: Callable[..., Paper]) -> None:
    paper = paper_of(
        named(
            "good",
            """
            import pandas as pd
            run.say("throwing")
            for _ in run.progress(range(4), label="throws"):
                time.sleep(0.3)
            run.table("all", pd.DataFrame({"x": [1, 2]}), caption="All.")
            run.figure("line", lambda f: f.subplots().plot([0, 1]), caption="A line.", size=(3, 2))
            return Measured(0.5, parts={"parent": os.getppid()})
            """,
        )
        + named("hangs", "time.sleep(60)", minutes="{'smoke': 0.02}")
        + named("crashes", "os.abort()")
        + named("eats", "held = bytearray(10**11)", memory_gb="0.5")
        + named("lacks", "return Measured(0.5)", needs="['no_such_thing']")
    )
    events: list[Event] = []
    good, hangs, crashes, eats, lacks = measure([paper], executor="ray", on_event=events.append)
    assert good.verdict is Verdict.REPRODUCED, good.reason
    assert good.parts["parent"] != os.getpid()
    assert good.folder is not None
    files = {f for p in good.figures for f in p.files.values()} | {good.tables[0].file, "result.json"}
    assert set(os.listdir(good.folder)) == files, "figures and tables came back to our own store"
    assert good.path("table-all.csv").read_text() == "x\n1\n2\n"
    told = [e for e in events if e.claim == "good"]
    assert "throwing" in [e.text for e in told]
    assert [e.fraction for e in told if e.kind == "progress"][-1] == 1.0
    assert "time limit of 1.2 s" in hangs.reason
    assert "SIGABRT" in crashes.reason
    assert "ran out of memory; its limit is 0.5 GB" in eats.reason
    assert lacks.verdict is Verdict.NEEDS_HARDWARE
    assert measure([(paper, paper.claim("good"))], executor="ray") == [good], "measured once, there or here"
    assert {r.claim for r in Store().everything()} == {"good", "hangs", "crashes", "eats"}


@pytest.mark.usefixtures("cluster")
def test_a_claim_on_the_cluster_can_be_cancelled(paper_of: Callable[..., Paper], tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    paper = paper_of(
        one_claim(f"open({str(pid)!r}, 'w').write(str(os.getpid()))\nrun.say('up')\ntime.sleep(60)")
    )
    cancel = threading.Event()

    def watch(event: Event) -> None:
        if event.text == "up":
            cancel.set()

    began = time.monotonic()
    assert measure([paper], executor="ray", cancel=cancel, on_event=watch) == []
    assert time.monotonic() - began < 30
    # Ray ends the worker, and the worker's end ends the claim: a moment later, not at once.
    gone_by = time.monotonic() + 20
    while Path(f"/proc/{pid.read_text()}").exists() and time.monotonic() < gone_by:
        time.sleep(0.1)
    assert not Path(f"/proc/{pid.read_text()}").exists()
    assert list(Store().everything()) == []


@pytest.mark.usefixtures("cluster")
def test_a_node_with_other_code_is_refused(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.put(one_claim("return Measured(0.5)"))
    (paper,) = shelf.load().papers
    monkeypatch.setattr(Paper, "fingerprint", "0123456789abcdef")
    (result,) = measure([paper], executor="ray")
    assert result.verdict is Verdict.FAILED
    assert "is of another version on the node" in result.reason


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_a_cluster_that_does_not_answer_is_named(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(ConnectionError, match=f"no Ray cluster answers at {address}"):
        RayExecutor(address)


@pytest.mark.parametrize("address", ["127.0.0.1:many", "junk://x y", "ray-head:0", "ray-head:99999"])
def test_an_address_that_is_none_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(ConnectionError, match="address must be such as ray-head:6379, got "):
        RayExecutor(address)


def test_ray_that_is_not_installed_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"run `pip install '\.\[ray\]'` in a checkout"):
        RayExecutor()
