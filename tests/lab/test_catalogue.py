"""The catalogue: papers are found by every name they have, and a broken one does not hide the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from broadsheet.lab import catalogue
from broadsheet.lab.catalogue import BrokenPaper, Unknown
from broadsheet.rooms import BrokenFile
from lab.shelf import FACTS, Shelf, one_claim

FAIR = one_claim("return Measured(0.5)")


def test_a_paper_is_found_by_every_name_it_has(shelf: Shelf) -> None:
    shelf.put(FAIR, slug="fair_coin")
    shelf.put(FAIR, slug="bent_coin", facts=FACTS.replace("2001.00001", "math/0309136"))
    known = shelf.load()
    names = ["fair-coin", "fair_coin", "demo/fair-coin", " 2001.00001 ", "arXiv:2001.00001v3", "2001.00001v2"]
    for name in names:
        assert known.find(name).key == "demo/fair-coin"
    assert known.find("math/0309136").slug == "bent-coin"


def test_an_unknown_name_is_answered_with_near_ones(shelf: Shelf) -> None:
    shelf.put(FAIR, slug="flexible_survival")
    with pytest.raises(Unknown, match=r"no paper 'flexible-survivel' here: did you mean flexible-survival"):
        shelf.load().find("flexible-survivel")
    with pytest.raises(Unknown, match="`broadsheet papers` lists all"):
        shelf.load().find("zzz")
    with pytest.raises(Unknown, match="makes no claim 'tails'; it makes heads"):
        shelf.load().find("flexible-survival").claim("tails")


def test_one_slug_in_two_families_has_to_be_said_in_full(shelf: Shelf) -> None:
    shelf.put(FAIR, family="one")
    shelf.put(FAIR, family="two", facts=FACTS.replace("2001.00001", "2001.00002"))
    with pytest.raises(Unknown, match="more than one paper: write one of one/coin, two/coin"):
        shelf.load().find("coin")
    assert shelf.load().find("two/coin").family == "two"


@pytest.mark.parametrize(
    ("facts", "line", "said"),
    [
        (
            FACTS.replace('"2001.00001"', "2001.00001"),
            2,
            "arxiv_id must be a text in quotes, got the number 2001.00001",
        ),
        (FACTS.replace("2001.00001", "2001.00001v2"), 2, "must be an arXiv id without version"),
        (FACTS.replace("year = 2020", "year = 20200"), 4, "year must be a year, got 20200"),
        (FACTS.replace("title =", "titel ="), None, "title is missing: add the line title = …"),
        (FACTS + "sumary = 'x'\n", 8, "sumary is not a known key: did you mean summary?"),
        (FACTS + "published_on = '2020-01-01'\n", 8, "published_on must be a date"),
        (FACTS + "published_on = 2020-01-01T00:00:00\n", 8, "published_on must be a date"),
        (FACTS + "code_url = 'javascript:x'\n", 8, "code_url must be an address that begins with https://"),
        (FACTS + "names = ['not a name']\n", 8, "names must hold names that can be imported"),
        (FACTS + "[data]\nname = 'x'\n", None, "data must be written as tables headed [[data]]"),
        (FACTS + "year = 2021\n", 8, "is not valid TOML"),
    ],
)
def test_a_broken_paper_is_told_and_hides_no_other(
    shelf: Shelf, facts: str, line: int | None, said: str
) -> None:
    shelf.put(FAIR, slug="good")
    folder = shelf.put(FAIR, slug="bad", facts=facts)
    known = shelf.load()
    assert [paper.slug for paper in known.papers] == ["good"]
    (problem,) = known.problems
    assert said in problem.message
    where = f"{folder / 'paper.toml'}" + (f", line {line}" if line else "")
    assert problem.message.startswith(where)
    with pytest.raises(Unknown, match="'bad' cannot be used"):
        known.find("bad")


def test_two_papers_of_one_key_are_told(shelf: Shelf) -> None:
    shelf.put(FAIR, slug="coin", family="one")
    shelf.put(FAIR, slug="coin", family="two", facts=FACTS + 'family = "one"\n')
    known = shelf.load()
    assert [paper.key for paper in known.papers] == ["one/coin"]
    assert "one/coin is already the key of" in known.problems[0].message


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\n", "declares no claim"),
        ("import nothing_of_that_name\n", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("def x(:\n", "SyntaxError"),
        ("raise SystemExit(3)\n", "SystemExit: calls sys.exit when it is imported"),
        (one_claim("return 1", kind="'certain'"), "kind must be exact, scaled or trend"),
    ],
)
def test_broken_claims_name_their_file_and_spare_the_others(shelf: Shelf, source: str, said: str) -> None:
    folder = shelf.put(source, slug="bad")
    shelf.put(FAIR, slug="good", facts=FACTS.replace("00001", "00002"))
    known = shelf.load()
    with pytest.raises(BrokenPaper, match=said) as caught:
        _ = known.find("bad").claims
    assert str(caught.value).startswith(str(folder / "claims.py"))
    assert [paper.slug for paper, _ in known.select()] == ["good"]
    assert [problem.message for problem in known.all_problems()] == [str(caught.value)]
    with pytest.raises(BrokenPaper):
        known.select("bad")


def test_absent_claims_are_told(shelf: Shelf) -> None:
    folder = shelf.put(FAIR)
    (folder / "claims.py").unlink()
    with pytest.raises(BrokenPaper, match=r"claims\.py: is missing"):
        _ = shelf.load().papers[0].claims


def test_claims_are_chosen_by_paper_and_by_name(shelf: Shelf) -> None:
    shelf.put(FAIR + one_claim("return Measured(0.5)").replace("def heads", "def tails"))
    known = shelf.load()
    assert [claim.id for _, claim in known.select("coin")] == ["heads", "tails"]
    assert [claim.id for _, claim in known.select("demo/coin:tails")] == ["tails"]
    assert [claim.id for _, claim in known.select("arXiv:2001.00001:tails")] == ["tails"]
    assert len(known.select("coin", "coin:heads")) == 2


def test_a_change_is_seen_and_an_unchanged_file_is_not_read_again(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shelf.put(FAIR)
    first = shelf.load()
    monkeypatch.setattr(catalogue.Facts, "read", lambda path: pytest.fail("read again"))
    assert shelf.load() is first
    monkeypatch.undo()
    (folder / "paper.toml").write_text(FACTS.replace("a coin", "another coin"))
    assert shelf.load().papers[0].facts.title == "A paper about another coin"


def test_the_fingerprint_follows_code_and_data_and_nothing_else(shelf: Shelf) -> None:
    folder = shelf.put(FAIR)
    paper = shelf.load().papers[0]
    before = paper.fingerprint
    (folder / "README.md").write_text("# Other words\n")
    (folder / "paper.toml").write_text(FACTS.replace("Doe", "Joe"))
    other = shelf.put(FAIR, slug="other")
    (folder.parent / "__init__.py").write_text("# re-exports more\n")
    assert paper.fingerprint == before
    shared = folder.parents[1] / "_shared"
    (shared / "texts").mkdir(parents=True)
    for name in ("trainer.py", "of_others.py", "texts/__init__.py"):
        (shared / name).touch()
    assert paper.fingerprint == before
    seen = {before}
    for change in (
        lambda: (folder / "claims.py").write_text(FAIR + "\n"),
        lambda: (folder / "method.py").touch(),
        lambda: (folder / "method.py").rename(folder / "methods.py"),
        lambda: (folder.parent / "shared_by_the_family.py").write_text("x = 1\n"),
        lambda: (folder / "method.py").write_text("from broadsheet.methods._shared import trainer\n"),
        lambda: (shared / "trainer.py").write_text("from broadsheet.methods._shared.texts import corpus\n"),
        lambda: (shared / "texts" / "corpus.py").write_text("x = 1\n"),
        lambda: (folder / "paper.toml").write_text(FACTS + data("0" * 64)),
        lambda: (folder / "paper.toml").write_text(FACTS + data("1" * 64)),
    ):
        change()
        assert paper.fingerprint not in seen
        seen.add(paper.fingerprint)
    (shared / "of_others.py").write_text("x = 1\n")
    assert paper.fingerprint in seen
    assert other.exists()


def data(digest: str) -> str:
    return f'[[data]]\nname = "x"\nurl = "https://a/x"\nsha256 = "{digest}"\nbytes = 1\nlicence = "CC0"\n'


def test_a_paper_knows_its_data_and_its_familys(shelf: Shelf) -> None:
    folder = shelf.put(FAIR, facts=FACTS + data("0" * 64))
    (folder.parent / "data.toml").write_text(data("1" * 64).replace('"x"', '"shared"', 1))
    assert [dataset.name for dataset in shelf.load().papers[0].datasets] == ["x", "shared"]
    (folder.parent / "data.toml").write_text("[[data]]\n")
    with pytest.raises(BrokenFile, match=r"data\.toml: data\[0\]\.url is missing"):
        _ = shelf.load().papers[0].datasets


def test_the_built_in_papers_can_all_be_read() -> None:
    known = catalogue.load()
    assert known.problems == ()
    for paper in known.papers:
        assert paper.folder.is_relative_to(Path(catalogue.__file__).parents[1] / "methods")
        assert paper.package.startswith("broadsheet.methods.")
