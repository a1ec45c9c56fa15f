"""What a claim is handed: progress that adds up, parts that survive, figures and tables that are kept."""

from __future__ import annotations

import errno
import gc
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.claims import NeedsData, Run, Scale
from broadsheet.lab import local_run
from broadsheet.lab import run as run_module
from broadsheet.lab.run import LabRun


def a_run(tmp_path: Path, seeds: tuple[int, ...] = (0,), **more: Any) -> LabRun:
    return LabRun(Scale.SMOKE, seeds, tmp_path / "out", tmp_path / "cache", **more)


def test_a_local_run_is_a_run() -> None:
    run: Run = local_run("laptop", seeds=[7, 8])
    assert run.pick(smoke=1, laptop=2, paper=3) == 2
    assert run.rng().random() == run.rng(7).random() != run.rng(8).random()


def test_a_local_run_leaves_nothing_behind(tmp_path: Path) -> None:
    run = local_run()
    run.table("all", pd.DataFrame({"x": [1]}), caption="All.")
    folder = run.out  # type: ignore[attr-defined]
    assert (folder / "table-all.csv").exists()
    del run
    gc.collect()
    assert not folder.exists()
    kept = local_run(out=tmp_path)
    kept.table("all", pd.DataFrame({"x": [1]}), caption="All.")
    del kept
    gc.collect()
    assert (tmp_path / "table-all.csv").exists()


@pytest.mark.parametrize(
    ("given_", "said"),
    [({"scale": "huge"}, "scale must be one of smoke, laptop, paper, got 'huge'"), ({"seeds": 0}, "got 0")],
)
def test_a_run_that_cannot_be_meant_is_refused(given_: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        local_run(**given_)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_progress_of_nested_loops_grows_from_nothing_to_all(tmp_path_factory: Any, sizes: list[int]) -> None:
    seen: list[float] = []
    run = a_run(tmp_path_factory.getbasetemp(), watch=lambda message: seen.append(message["fraction"]))

    def loop(left: list[int]) -> int:
        if not left:
            return 1
        return sum(loop(left[1:]) for _ in run.progress(range(left[0]), label=str(len(left))))

    total = 1
    for size in sizes:
        total *= size
    assert loop(sizes) == total
    assert seen == sorted(seen)
    assert seen[0] == 0.0
    assert seen[-1] == 1.0


def test_steps_without_end_have_no_fraction(tmp_path: Path) -> None:
    seen: list[Any] = []
    run = a_run(tmp_path, watch=seen.append)
    assert list(run.progress(iter("ab"), label="letters")) == ["a", "b"]
    assert {message["fraction"] for message in seen} == {None}
    list(run.progress(iter("ab"), total=2))
    assert seen[-1]["fraction"] == 1.0


def test_a_loop_left_early_does_not_count_for_the_next(tmp_path: Path) -> None:
    seen: list[Any] = []
    run = a_run(tmp_path, watch=seen.append)
    for step in run.progress(range(100)):
        if step == 50:
            break
    gc.collect()
    list(run.progress(range(2)))
    assert seen[-1] == {"done": 2, "of": 2, "label": "", "fraction": 1.0}


def test_a_fast_loop_does_not_flood_whoever_watches(tmp_path: Path) -> None:
    seen: list[Any] = []
    for _ in a_run(tmp_path, watch=seen.append).progress(range(200_000)):
        pass
    assert len(seen) < 200


def test_what_was_computed_is_not_computed_again(tmp_path: Path) -> None:
    calls: list[str] = []

    def compute() -> Any:
        calls.append("x")
        return {"a": (1, 2.5), "b": None}

    first = a_run(tmp_path).cached("fit/one: ü", compute)
    second = a_run(tmp_path).cached("fit/one: ü", compute)
    assert first == second == {"a": [1, 2.5], "b": None}
    assert len(calls) == 1
    a_run(tmp_path, seeds=(0, 1)).cached("fit/one: ü", compute)
    a_run(tmp_path).cached("fit/two", compute)
    assert len(calls) == 3


def test_a_damaged_part_is_computed_again(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    run.cached("a", lambda: 1)
    (file,) = (tmp_path / "cache").rglob("*.json")
    for text in ("", "{", "[]", json.dumps({"key": "other", "value": 2})):
        file.write_text(text)
        assert run.cached("a", lambda: 1) == 1


def test_only_json_types_are_kept(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"cached\('a'\) must be given JSON types, got set"):
        a_run(tmp_path).cached("a", lambda: {1})


def test_a_full_disk_costs_the_part_and_not_the_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run_module, "write_atomically", full)
    seen: list[Any] = []
    assert a_run(tmp_path, watch=seen.append).cached("a", lambda: 5) == 5
    assert seen == [{"say": "cannot keep the part 'a': No space left on device"}]


def test_figures_and_tables_are_kept_with_their_data(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    frame = pd.DataFrame({"x": [1, 2], "y": [0.5, 0.25]})
    run.figure(
        "a-line", lambda f: f.subplots().plot(frame.x, frame.y), caption="A line.", table=frame, size=(3, 2)
    )
    run.table("by-name", frame.set_index("x"), caption="Named.")
    (picture,) = run.pictures
    assert {p.name for p in run.out.iterdir()} == {*picture.files.values(), "a-line.csv", "table-by-name.csv"}
    pd.testing.assert_frame_equal(pd.read_csv(run.out / "a-line.csv"), frame)
    assert (run.out / "table-by-name.csv").read_text().startswith("x,y\n")


@pytest.mark.parametrize("name", ["", "A", "a b", "../a", "a/b", "a.svg", "-a", "a" * 81])
def test_a_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    run = a_run(tmp_path)
    with pytest.raises(ValueError, match="name must be lower-case words joined by hyphens"):
        run.figure(name, lambda f: None, caption="x")
    with pytest.raises(ValueError, match="name must be lower-case words joined by hyphens"):
        run.table(name, pd.DataFrame(), caption="x")
    assert not list(tmp_path.rglob("*.*"))


def test_a_figure_without_words_or_with_anothers_name_is_refused(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    with pytest.raises(ValueError, match="needs a caption"):
        run.table("a", pd.DataFrame(), caption=" ")
    run.table("a", pd.DataFrame({"x": [1]}), caption="A.")
    with pytest.raises(ValueError, match="two tables named 'a'"):
        run.table("a", pd.DataFrame({"x": [1]}), caption="A.")


def test_data_come_from_the_registry(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="no paper declares data named 'nothing-of-that-name'"):
        a_run(tmp_path).data("nothing-of-that-name")

    def absent(name: str) -> Path:
        raise NeedsData(name)

    with pytest.raises(NeedsData):
        a_run(tmp_path, find_data=absent).data("x")
