"""The manual and the code agree: commands, exit codes, settings, public names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_generated_pages_have_not_drifted() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/generate_docs.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_every_exit_code_in_the_code_is_documented() -> None:
    from broadsheet import cli

    documented = set(re.findall(r"^    (\d+):", cli.__doc__ or "", re.MULTILINE))
    used = set()
    for file in (ROOT / "src/broadsheet/cli").glob("*.py"):
        text = file.read_text(encoding="utf-8")
        used |= set(re.findall(r"Refusal\([^()]*(?:\([^()]*\)[^()]*)*,\s*(\d)\s*,?\s*\)", text))
        used |= set(re.findall(r"Exit\((\d)\)", text))
    assert used
    assert used <= documented


def test_every_page_of_the_manual_is_in_its_table_of_contents() -> None:
    listed = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        assert str(page.relative_to(ROOT / "docs")) in listed


def test_nothing_loads_from_elsewhere() -> None:
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "font: false" in settings


def test_the_manual_builds_strictly(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "reference" / "claims.html").is_file()
