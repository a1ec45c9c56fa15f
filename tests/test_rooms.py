"""Where papers stand, and what is said about a TOML file that is broken."""

from __future__ import annotations

import contextlib
import importlib
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.rooms import BrokenFile, Table, find_rooms, public_names


def test_a_folder_is_a_paper_if_it_has_its_facts(tmp_path: Path) -> None:
    for place in ("tuning/compacter", "tuning/low_rank", "deep/er/still"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "tuning/low_rank/paper.toml").touch()
    (tmp_path / "deep/er/still/paper.toml").touch()
    rooms, problems = find_rooms([("mine", tmp_path)])
    assert [(room.package, room.slug, room.family) for room in rooms] == [
        ("mine.tuning.low_rank", "low-rank", "tuning")
    ]
    assert problems == []


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('a = "x"\nb = = 2\n', 2, "is not valid TOML"),
        ('a = "x"\n\nb = "never closed\n', 3, "is not valid TOML"),
        ('a = "x"\na = "y"\n', 2, "is not valid TOML"),
    ],
)
def test_a_syntax_error_names_file_and_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    file = tmp_path / "paper.toml"
    file.write_text(text)
    with pytest.raises(BrokenFile) as caught:
        Table.read(file)
    assert caught.value.line == line
    assert str(caught.value).startswith(f"{file}, line {line}: {said}")
    assert "\n" not in str(caught.value)


def test_another_encoding_names_the_line(tmp_path: Path) -> None:
    file = tmp_path / "paper.toml"
    file.write_bytes('title = "x"\nauthors = "Müller"\n'.encode("latin-1"))
    with pytest.raises(BrokenFile, match="line 2: is not UTF-8"):
        Table.read(file)


def test_an_absent_file_is_said_to_be_unreadable(tmp_path: Path) -> None:
    with pytest.raises(BrokenFile, match=r"paper\.toml: cannot be read: No such file"):
        Table.read(tmp_path / "paper.toml")


@given(st.text(max_size=200))
def test_whatever_the_file_holds_only_a_broken_file_is_raised(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    with contextlib.suppress(BrokenFile):
        table = Table.read(file)
        for key in ("a", "b"):
            table.take(key, str, "", required=False)
        table.finish()


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        (2001.00001, str, "must be a text in quotes, got the number 2001.00001"),
        (7, str, "must be a text in quotes, got the number 7"),
        (True, int, "must be a whole number, got True"),
        ("2020", int, "must be a whole number, got '2020'"),
        (["a", 1], list, "must be a list of texts"),
        ("", str, "is empty"),
    ],
)
def test_a_wrong_value_is_told_with_key_and_line(value: object, kind: type, said: str) -> None:
    table = Table(Path("p.toml"), {"key": value}, "\n# key\nkey = 1\n")
    with pytest.raises(BrokenFile, match="line 3: key") as caught:
        table.take("key", kind)
    assert said in str(caught.value)


def test_an_unknown_key_is_compared_with_the_known_ones() -> None:
    table = Table(Path("p.toml"), {"sumary": "x"}, 'sumary = "x"')
    table.take("summary", str, "", required=False)
    with pytest.raises(BrokenFile, match=r"line 1: sumary is not a known key: did you mean summary\?"):
        table.finish()


def test_a_family_exports_what_its_papers_name(tmp_path: Path) -> None:
    for slug, text in {"one": 'names = ["A", "b"]', "two": "names = [", "three": ""}.items():
        (tmp_path / slug).mkdir()
        (tmp_path / slug / "paper.toml").write_text(text)
    assert public_names(tmp_path) == {"one": ["A", "b"], "three": [], "two": []}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution on the search path, as pip leaves one."""
    site = tmp_path / "site"
    info = site / "outside-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    paper = site / "outside_papers" / "coins" / "fair_coin"
    paper.mkdir(parents=True)
    (paper / "paper.toml").write_text('arxiv_id = "2001.00001"\n')
    (site / "outside_papers" / "empty").mkdir()
    (site / "outside_broken").mkdir()
    (site / "outside_broken" / "__init__.py").write_text("raise RuntimeError('not today')\n")
    (info / "entry_points.txt").write_text(
        "[broadsheet.papers]\n"
        "coin = outside_papers.coins.fair_coin\n"
        "empty = outside_papers.empty\n"
        "broken = outside_broken.paper\n"
        "gone = outside_nowhere.paper\n"
        "alone = outside_nowhere\n"
    )
    monkeypatch.syspath_prepend(site)
    importlib.invalidate_caches()
    yield site
    for name in [n for n in sys.modules if n.startswith("outside_")]:
        del sys.modules[name]


def test_an_installed_paper_joins_by_its_entry_point(installed: Path) -> None:
    rooms, problems = find_rooms()
    joined = [room for room in rooms if not room.built_in]
    assert [(r.package, r.family, r.slug) for r in joined] == [
        ("outside_papers.coins.fair_coin", "coins", "fair-coin")
    ]
    assert joined[0].folder == installed / "outside_papers/coins/fair_coin"
    said = {problem.message.split("'")[1]: problem.message for problem in problems}
    assert set(said) == {"empty", "broken", "gone", "alone"}
    assert "holds no paper.toml" in said["empty"]
    assert "RuntimeError: not today" in said["broken"]
    assert "No module named 'outside_nowhere'" in said["gone"]
    assert "there is no such package" in said["alone"]
