"""``broadsheet data``: list, fetch and find the data that claims read."""

from __future__ import annotations

from typing import Any

import click

from broadsheet import data
from broadsheet.claims import NeedsData
from broadsheet.cli import voice
from broadsheet.cli.voice import Refusal

__all__ = ["data_command"]


def _known(name: str) -> data.Dataset:
    try:
        return data.find(name)
    except data.UnknownData as error:
        raise Refusal(str(error), 3) from error


def _as_json(dataset: data.Dataset) -> dict[str, Any]:
    path = data.where(dataset.name)
    return {
        "name": dataset.name,
        "url": dataset.url,
        "sha256": dataset.sha256,
        "bytes": dataset.bytes,
        "licence": dataset.licence,
        "citation": dataset.citation,
        "path": None if path is None else str(path),
    }


@click.group("data")
def data_command() -> None:
    """List, fetch and find the data that claims read.

    Data are looked for in the folders of BROADSHEET_DATA, then in installed packages, then in the cache,
    and are downloaded only by `fetch` or by a claim that needs them.

    \b
    Example:
      broadsheet data list
      broadsheet data fetch veteran
    """


@data_command.command("list")
@voice.json_option
def list_command(as_json: bool) -> None:
    """List all data sets, their size, their licence and whether they are here.

    \b
    Example:
      broadsheet data list --json
    """
    listed = [_as_json(dataset) for dataset in data.datasets()]
    if as_json:
        voice.print_json(listed)
        return
    voice.print_table(
        ["name", "size", "here", "licence"],
        [[d["name"], human_size(d["bytes"]), "yes" if d["path"] else "no", d["licence"]] for d in listed],
        styles=["bold", "number"],
    )


@data_command.command("fetch")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@voice.json_option
def fetch_command(names: tuple[str, ...], as_json: bool) -> None:
    """Fetch data sets that are not here; their licence and size are shown first.

    \b
    Example:
      broadsheet data fetch veteran
    """
    datasets = [_known(name) for name in names]
    for dataset in datasets:
        if data.where(dataset.name) is None:
            click.echo(
                f"{dataset.name}: {human_size(dataset.bytes)} from {dataset.url}\n  licence: {dataset.licence}",
                err=True,
            )
        try:
            data.fetch(dataset.name)
        except NeedsData as error:
            raise Refusal(str(error), 5) from error
    if as_json:
        voice.print_json([_as_json(dataset) for dataset in datasets])
    else:
        for dataset in datasets:
            voice.say(f"{dataset.name}\t{data.where(dataset.name)}")


@data_command.command("where")
@click.argument("name")
@voice.json_option
def where_command(name: str, as_json: bool) -> None:
    """Print the path of a data set that is here.

    \b
    Example:
      broadsheet data where veteran
    """
    dataset = _known(name)
    path = data.where(dataset.name)
    if path is None:
        raise Refusal(str(data.absent(dataset)), 5)
    if as_json:
        voice.print_json(_as_json(dataset))
    else:
        voice.say(str(path))


def human_size(count: int) -> str:
    """Return a number of bytes in words, in powers of 1,000.

    Example:
        >>> human_size(5260), human_size(27_900_000)
        ('5.3 kB', '27.9 MB')
    """
    size = float(count)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{count} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
