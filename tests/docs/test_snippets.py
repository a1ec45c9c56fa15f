"""Every snippet of the manual and the READMEs is executed, or, where it needs a network or a cluster, parsed.

A shell block after a line ``<!-- runs … -->`` is run by bash in an empty folder that holds ``page.txt`` (a small saved
page), ``records.jsonl.gz`` and ``runs.csv``. Of every other shell block, each ``broadsheet`` line goes through the real parser of the
command line, and each ``make`` line names a target that exists. Every Python block is run.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from broadsheet.cli import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"(<!-- runs[^\n]*-->\n)?^```(python|sh)\n(.*?)^```", re.DOTALL | re.MULTILINE)

PAGE = """Daily Papers
byAK and the research community

Dec 8

A Made-up Law of Survival for Test Pages

We make up a law. It holds on this page and nowhere else.

  • 3 authors
·
Jan 21

Another Paper that Nobody Wrote

Its abstract has one sentence.

  • 2 authors
·
Oct 8, 2021 4
"""


def snippets() -> list[tuple[str, str, bool, str]]:
    found = []
    for page in PAGES:
        for number, (marked, language, code) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")), 1):
            found.append((f"{page.relative_to(ROOT)}-{number}", language, bool(marked), code))
    return found


SNIPPETS = snippets()


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    (tmp_path / "page.txt").write_text(PAGE, encoding="utf-8")
    sizes = [(n, d) for n in (1e7, 3e7, 1e8, 3e8) for d in (1e9, 3e9, 1e10, 3e10)]
    lines = [
        f"{n},{d},{(1.8 + 480 / n**0.35 + 2100 / d**0.37) * (1 + 0.002 * (i % 3 - 1))}"
        for i, (n, d) in enumerate(sizes)
    ]
    (tmp_path / "runs.csv").write_text("\n".join(["N,D,loss", *lines]))
    record = {
        "id": "2512.00001", "title": "A bulk record", "abstract": "Made up. " * 10, "authors": ["A. Nobody"],
        "categories": ["stat.ME"], "first_seen": "2025-12-08",
    }  # fmt: skip
    with gzip.open(tmp_path / "records.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
    return tmp_path


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One installation for all snippets: what one of them measured, the next one finds."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    home = tmp_path_factory.mktemp("home")
    return {**os.environ, "BROADSHEET_HOME": str(home), "PATH": path, "MPLBACKEND": "Agg"}


@pytest.mark.parametrize(
    ("language", "marked", "code"), [s[1:] for s in SNIPPETS], ids=[s[0] for s in SNIPPETS]
)
def test_snippet(
    language: str,
    marked: bool,
    code: str,
    desk: Path,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if language == "python":
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            cwd=desk,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    elif marked:
        code = code.replace(".venv/bin/broadsheet", "broadsheet")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", code],
            cwd=desk,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    else:
        for name in re.findall(
            r"\b[\w-]+\.csv\b", code
        ):  # a file that a line reads must be there to be parsed
            (desk / name).touch()
        monkeypatch.chdir(desk)
        check_lines(code)


def check_lines(code: str) -> None:
    """Each line is one that we know how to check: broadsheet by its parser, make by its target, pip by its shape."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for line in code.strip().splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):  # an environment variable for the command
            words.pop(0)
        if not words:
            continue
        command, *rest = words
        if command.endswith("broadsheet"):
            parse(rest)
        elif command == "make":
            assert rest[0] in targets, line
        else:
            assert command in {"git", "cd", "pip", "pre-commit", "python"}, f"no way to check: {line}"


def parse(words: list[str]) -> None:
    """Parse a command line to the end without executing it."""
    command: click.Command = cli
    context = click.Context(cli, info_name="broadsheet")
    while isinstance(command, click.Group):
        child = command.get_command(context, words[0])
        assert child is not None, f"no command {words[0]!r}"
        command, words = child, words[1:]
    command.make_context(command.name, list(words), parent=context)
