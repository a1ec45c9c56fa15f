"""Reads what users bring to the scaling workbench: tables of runs and laws that were kept. Both are foreign."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from broadsheet.methods.scaling import Law, RunTable

__all__ = ["read_law", "read_runs"]


def read_runs(
    path: Path,
    *,
    columns: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    loss_unit: str = "nats",
    wandb: bool = False,
) -> RunTable:
    """Read a table of runs.

    Args:
        path: A CSV file.
        columns: Where canonical columns stand: ``{"N": "Model Size"}``.
        units: Their units: ``{"N": "billions"}``.
        loss_unit: ``nats``, ``bits`` or ``perplexity``.
        wandb: Whether it was exported from Weights & Biases.

    Returns:
        The runs.

    Raises:
        ValueError: naming the file, and column and row of what is wrong.
    """
    from broadsheet.methods.scaling import RunTable

    with _naming(path):
        _look_at(path)
        read = RunTable.from_wandb_export if wandb else RunTable.read_csv
        table: RunTable = read(path, columns=columns, units=units, loss_unit=loss_unit)
    return table


def _look_at(path: Path) -> None:
    """Refuse what a CSV reader would take for something else than it is."""
    raw = path.read_bytes()
    if b"\0" in raw:
        raise ValueError("holds NUL bytes: it is no text, or was damaged; export it again as CSV")
    first = raw.splitlines()[0].decode("utf-8-sig", "replace") if raw.strip() else ""
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if mark in first and "," not in first:
            raise ValueError(f"its columns are separated by {name}: export it with commas")
    heads = [head.strip().strip('"') for head in first.split(",")]
    twice = next((head for head in heads if head and heads.count(head) > 1), None)
    if twice is not None:
        raise ValueError(f"column {twice!r} stands twice in its header: rename or remove one")


def read_law(path: Path) -> Law:
    """Read a law that ``fit`` kept.

    Raises:
        ValueError: if the file is something else.
    """
    from broadsheet.methods.scaling import Law, LossTrajectory

    assert issubclass(LossTrajectory, Law)  # a law outside the core is known once it is imported
    with _naming(path):
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict):
            raise ValueError("is not a law that `broadsheet scaling fit --keep` wrote")
        law: Law = Law.from_dict(record)
    return law


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file's name before whatever is wrong with it."""
    from pandas.errors import EmptyDataError, ParserError

    try:
        yield
    except EmptyDataError as error:
        raise ValueError(f"{path}: is empty") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not UTF-8 text: export it as CSV in UTF-8") from error
    except RecursionError as error:
        raise ValueError(f"{path}: is nested too deeply to be a law") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno}: is not JSON: {error.msg}") from error
    except ParserError as error:
        what = str(error).rpartition("C error: ")[2].strip()
        raise ValueError(
            f"{path}: is not a CSV table: {what if what[:2].isupper() else what[:1].lower() + what[1:]}"
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path}: {error}") from error
