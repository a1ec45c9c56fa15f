"""The package as a whole: light to import, typed, its layers intact."""

from __future__ import annotations

import subprocess
import sys


def imported_by(statement: str) -> set[str]:
    code = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    return set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_importing_broadsheet_loads_nothing_heavy() -> None:
    loaded = imported_by("import broadsheet")
    assert not {"numpy", "torch", "django", "scipy", "pandas"} & loaded


def test_the_help_of_the_command_line_loads_no_command() -> None:
    loaded = imported_by("import broadsheet.cli")
    assert not {"numpy", "django", "broadsheet.lab", "rich"} & loaded


def test_the_service_process_never_imports_torch() -> None:
    loaded = imported_by(
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'broadsheet.site.settings';"
        "import django; django.setup(); import broadsheet.site.urls;"
        "from broadsheet.lab import catalogue; [p.claims for p in catalogue.load().papers]"
    )
    assert "torch" not in loaded
    assert "transformers" not in loaded
