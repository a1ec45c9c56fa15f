"""The command line: ``broadsheet COMMAND``. Each command loads what it needs, and no more.

Exit codes:
    0: done. A claim that was measured and is not reproduced is a result, not a failure.
    1: a claim failed, or a part of the input was refused under ``--strict``.
    2: the command was used wrongly: an unknown option, a missing argument, a bad value.
    3: an unknown paper, claim or data set.
    4: the input cannot be read: another kind of file, a page without year, a source that does not answer.
    5: something is missing: data, an extra, hardware; the message says how to get it.
    6: this machine says no: a port in use, a full disk, a read-only folder, a database of a newer version.
    130: interrupted.
"""

from __future__ import annotations

import importlib
import sys

import click

import broadsheet
from broadsheet.cli.voice import Refusal

__all__ = ["cli", "main"]

# Where each command lives; the order is the order of the help.
_COMMANDS = {
    "papers": ("broadsheet.cli.catalogue", "List the papers that run."),
    "show": ("broadsheet.cli.catalogue", "Show a paper: what it claims and what was measured."),
    "run": ("broadsheet.cli.measure", "Measure a paper's claims on this machine or a Ray cluster."),
    "report": ("broadsheet.cli.measure", "Write a report of what was measured, as HTML or Markdown."),
    "new": ("broadsheet.cli.measure", "Lay out the rooms of a new paper."),
    "data": ("broadsheet.cli.data", "List, fetch and find the data that claims read."),
    "import": ("broadsheet.cli.feed", "Import a saved Daily Papers page or a bulk file."),
    "sync": ("broadsheet.cli.feed", "Read new papers from arXiv or Hugging Face."),
    "search": ("broadsheet.cli.feed", "Find papers by words, phrases and fields."),
    "scaling": ("broadsheet.cli.scaling", "Fit scaling laws to training runs; plan, predict, mix, prune."),
    "serve": ("broadsheet.cli.serve", "Serve the site."),
}


class _Commands(click.Group):
    """Imports a command's module when the command is called, so that none pays for another."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(_COMMANDS[cmd_name][0])
        command = getattr(module, f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # The one-line texts stand above, so that `broadsheet --help` imports no command.
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(broadsheet.__version__, prog_name="broadsheet")
def cli() -> None:
    """Daily papers that run.

    Find a paper, read what it claims, measure the claim again on this machine, import its method.

    \b
    Example:
      broadsheet papers
      broadsheet run flexible-survival --scale smoke
      broadsheet serve
    """


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Exit as leave:
        code = leave.exit_code
    except click.ClickException as error:
        if isinstance(error, click.UsageError) and "--json" in sys.argv:
            Refusal(error.format_message(), error.exit_code).show()
        else:
            error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        code = 130
    except Refusal as refusal:
        refusal.show()
        code = refusal.exit_code
    except BrokenPipeError:
        # `broadsheet papers | head`: the reader has seen enough.
        sys.stderr.close()
        code = 0
    except OSError as error:
        machine = Refusal.of_machine(error)
        machine.show()
        code = machine.exit_code
    sys.exit(code if isinstance(code, int) else 0)
