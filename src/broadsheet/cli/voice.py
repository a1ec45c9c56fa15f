"""How the command line speaks: colour and tables to a person, plain lines to a pipe, JSON where asked for."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "VERDICT_LOOK",
    "Refusal",
    "json_option",
    "print_json",
    "print_table",
    "say",
    "stderr_console",
    "warn",
]

# A shape and a colour beside the word, never colour alone.
VERDICT_LOOK = {
    "reproduced": ("●", "green"),
    "holds at this scale": ("◐", "blue"),
    "inconclusive": ("○", "bright_black"),
    "not reproduced": ("✕", "red"),
    "needs data": ("–", "bright_black"),
    "needs other hardware": ("–", "bright_black"),
    "failed": ("▲", "yellow"),
}


class Refusal(Exception):
    """Something that the command cannot do, in one message that says what, where and the way out.

    Args:
        message: The message.
        exit_code: One of the documented exit codes.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code

    @classmethod
    def of_machine(cls, error: OSError) -> Refusal:
        """Put an operating system's error into words."""
        where = f" at {error.filename}" if error.filename else ""
        if error.errno == errno.ENOSPC:
            return cls(
                f"The disk is full{where}. Free some room and run the command again: nothing was lost.", 6
            )
        elsewhere = "or choose another folder with BROADSHEET_HOME=/a/folder/of/yours"
        if error.errno in (errno.EEXIST, errno.ENOTDIR):
            return cls(f"There is a file{where} where a folder is needed. Move it away, {elsewhere}.", 6)
        if error.errno == errno.EROFS:
            return cls(f"The file system{where} may only be read. Make it writable, {elsewhere}.", 6)
        if error.errno in (errno.EACCES, errno.EPERM):
            return cls(
                f"No permission{where}. Give yourself the right to read and write there, {elsewhere}.", 6
            )
        return cls(f"{error.strerror or error}{where}.", 6)

    def show(self) -> None:
        """Print the message to standard error, in JSON where the command was asked for JSON."""
        if "--json" in sys.argv:
            click.echo(json.dumps({"error": str(self), "exit_code": self.exit_code}), err=True)
        else:
            click.secho("Error: ", fg="red", bold=True, nl=False, err=True)
            click.echo(str(self), err=True)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json`` to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(command)


def print_json(value: object) -> None:
    """Print ``value`` as JSON to standard output. What is not a number becomes null."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False, default=str))


def say(text: str = "", **style: Any) -> None:
    """Print a line to standard output, in ``style`` where a person reads it."""
    click.secho(text, **style)


def warn(text: str) -> None:
    """Print a line to standard error."""
    click.secho(text, err=True, fg="yellow")


def stderr_console() -> Console:
    """Return a console on standard error, where progress is shown."""
    from rich.console import Console

    return Console(stderr=True)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, styles: Sequence[str] = ()) -> None:
    """Print a table: ruled and wrapped to a person, one tab-separated line a row to a pipe.

    Args:
        columns: Heads of the columns.
        rows: Cells; a verdict's word gets its shape and colour.
        styles: Styles of the columns for a person, by position.
    """
    if not sys.stdout.isatty():
        for row in [columns, *rows]:
            click.echo("\t".join(" ".join(str(cell).split()) for cell in row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for position, column in enumerate(columns):
        style = styles[position] if position < len(styles) else ""
        table.add_column(
            column, style=style, overflow="fold", justify="right" if style == "number" else "left"
        )
    for row in rows:
        cells = []
        for cell in row:
            shape, colour = VERDICT_LOOK.get(cell, ("", ""))
            cells.append(Text(f"{shape} {cell}" if shape else cell, style=colour))
        table.add_row(*cells)
    Console().print(table)
