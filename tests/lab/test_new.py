"""A new paper's rooms: importable, clean, and failing with a sentence until they are written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from broadsheet.lab import catalogue, new, reference, report
from broadsheet.lab.new import CannotLayOut, Laid, lay_out

ROOT = Path(__file__).parents[2]


def test_the_rooms_of_a_package_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'mine'\n")
    laid = lay_out("2106.04647", "tuning/com-pacter", tmp_path / "src" / "mine_papers")
    made = sorted(path.relative_to(tmp_path).as_posix() for path in laid.files)
    base, tests = "src/mine_papers/tuning/com_pacter", "tests/tuning/com_pacter"
    assert made == sorted(
        [
            "src/mine_papers/__init__.py",
            "src/mine_papers/tuning/__init__.py",
            *(f"{base}/{n}" for n in ("README.md", "paper.toml", "__init__.py", "method.py", "claims.py")),
            f"{base}/results/.gitkeep",
            f"{tests}/test_method.py",
            f"{tests}/test_claims.py",
        ]
    )
    assert laid.package == "mine_papers.tuning.com_pacter"
    assert len(laid.steps) == 5
    assert 'com_pacter = "mine_papers.tuning.com_pacter"' in laid.steps[-1]
    facts = tomllib.loads((laid.folder / "paper.toml").read_text())
    assert (facts["arxiv_id"], facts["year"]) == ("2106.04647", 2021)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the checkout, as far as a new paper touches it."""
    root = tmp_path / "checkout"
    (root / "src/broadsheet/methods").mkdir(parents=True)
    shutil.copy(ROOT / "pyproject.toml", root)
    for package in (
        "broadsheet",
        "broadsheet/methods",
        "broadsheet/lab",
        "broadsheet/claims",
        "broadsheet/rooms",
    ):
        (root / "src" / package).mkdir(exist_ok=True)
        (root / "src" / package / "__init__.py").write_text('"""A room."""\n')
    monkeypatch.setattr(new, "built_in", lambda: ("broadsheet.methods", root / "src/broadsheet/methods"))
    return root


def test_the_rooms_in_a_checkout_touch_nothing_else(checkout: Path) -> None:
    before = {p: p.read_bytes() for p in checkout.rglob("*") if p.is_file()}
    laid = lay_out("math/0309136", "statistics/kernel-regression")
    after = {p: p.read_bytes() for p in checkout.rglob("*") if p.is_file()}
    assert {p: b for p, b in after.items() if p in before} == before
    assert set(after) - set(before) == set(laid.files)
    outside = [p.relative_to(checkout).as_posix() for p in laid.files]
    allowed = ("src/broadsheet/methods/statistics/", "tests/methods/statistics/")
    assert all(path.startswith(allowed) for path in outside)
    assert tomllib.loads((laid.folder / "paper.toml").read_text())["year"] == 2003


@pytest.mark.parametrize("own", [False, True])
def test_what_is_laid_out_is_clean(checkout: Path, tmp_path: Path, own: bool) -> None:
    into = tmp_path / "mine" / "src" / "mine_papers" if own else None
    where = tmp_path / "mine" if own else checkout
    if own:
        where.mkdir()
        shutil.copy(ROOT / "pyproject.toml", where)
    laid = lay_out("2106.04647", "tuning/low-rank-hypercomplex", into)
    for words in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *words, "--no-cache", "."]
        done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert laid.folder.is_dir()


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Laid:
    laid = lay_out("2106.04647", "tuning/compacter", tmp_path / "freshly_laid_out")
    monkeypatch.syspath_prepend(tmp_path)
    yield laid
    for name in [n for n in sys.modules if n.startswith("freshly_laid_out")]:
        del sys.modules[name]


def test_the_new_claim_fails_until_it_is_written_and_says_so(fresh: Laid) -> None:
    from broadsheet.lab.execute import measure

    known = catalogue.load([("freshly_laid_out", fresh.folder.parents[1])])
    assert known.problems == ()
    (paper,) = known.papers
    (result,) = measure([paper])
    assert result.verdict == "failed"
    assert "compacter is not written yet: write method.py" in result.reason
    assert "laptop.json is missing: run `broadsheet run compacter --reference`" in reference.check(paper)[0]
    assert "compacter is not written yet" in report.html(paper)


def test_the_new_names_can_be_imported_from_paper_and_family(fresh: Laid) -> None:
    code = (
        "from freshly_laid_out.tuning import compacter as a;"
        "from freshly_laid_out.tuning.compacter import compacter as b;"
        "import sys; sys.exit('numpy' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": str(fresh.folder.parents[2])}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_the_new_tests_fail_with_a_sentence(fresh: Laid, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:django",
        str(tmp_path / "tests"),
    ]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False, timeout=120
    )
    assert done.returncode == 1
    assert "3 failed" in done.stdout
    assert "compacter: write the reference test: a closed form" in done.stdout
    assert "compacter is not written yet" in done.stdout
    assert "skipped" not in done.stdout


@pytest.mark.parametrize(
    ("arxiv_id", "place", "said"),
    [
        ("2106.04647v1", "tuning/x", "without version, got '2106.04647v1'"),
        ("2106", "tuning/x", "got '2106'"),
        ("", "tuning/x", "got ''"),
        ("2106.04647", "compacter", "family/slug in lower case"),
        ("2106.04647", "tuning/", "family/slug in lower case"),
        ("2106.04647", "Tuning/x", "family/slug in lower case"),
        ("2106.04647", "../x", "family/slug in lower case"),
        ("2106.04647", "tuning/../../x", "family/slug in lower case"),
        ("2106.04647", "tuning/2106", "family/slug in lower case"),
        ("2106.04647", "tuning/a--b", "family/slug in lower case"),
        ("2106.04647", "tuning/class", "'class' is a word of Python"),
        ("2106.04647", "import/x", "'import' is a word of Python"),
    ],
)
def test_what_cannot_be_laid_out_is_refused_and_nothing_is_written(
    tmp_path: Path, arxiv_id: str, place: str, said: str
) -> None:
    with pytest.raises(CannotLayOut, match=said):
        lay_out(arxiv_id, place, tmp_path / "mine")
    assert os.listdir(tmp_path) == []


def test_what_is_there_already_is_refused(tmp_path: Path, checkout: Path) -> None:
    laid = lay_out("2106.04647", "tuning/compacter", tmp_path / "mine")
    text = (laid.folder / "method.py").read_text()
    with pytest.raises(CannotLayOut, match="is there already: choose another slug"):
        lay_out("2106.04648", "tuning/compacter", tmp_path / "mine")
    assert (laid.folder / "method.py").read_text() == text
    for paper in catalogue.load().papers[:1]:
        with pytest.raises(CannotLayOut, match=f"is there already: {paper.key}"):
            lay_out(paper.facts.arxiv_id, "tuning/another")
        with pytest.raises(CannotLayOut, match="is taken by"):
            lay_out("2106.04648", f"tuning/{paper.slug}")


def test_a_folder_that_is_no_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotLayOut, match="is a file"):
        lay_out("2106.04647", "tuning/x", tmp_path / "file")
    with pytest.raises(CannotLayOut, match="'my-papers' is no name that Python can import"):
        lay_out("2106.04647", "tuning/x", tmp_path / "my-papers")


def test_an_installation_is_no_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "site-packages" / "broadsheet" / "methods"
    installed.mkdir(parents=True)
    monkeypatch.setattr(new, "built_in", lambda: ("broadsheet.methods", installed))
    with pytest.raises(CannotLayOut, match="not a checkout: clone the repository, or give --into"):
        lay_out("2106.04647", "tuning/x")
