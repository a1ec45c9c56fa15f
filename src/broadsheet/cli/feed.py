"""``broadsheet import``, ``sync`` and ``search``: papers in, papers found. They need the extra ``site``."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from broadsheet import extras, places
from broadsheet.cli import voice
from broadsheet.cli.voice import Refusal
from broadsheet.sources.record import PaperRecord, Problem, SourceError

if TYPE_CHECKING:
    from broadsheet.site.papers.importing import ImportSummary

__all__ = ["import_command", "opened_database", "search_command", "sync_command"]

_DAY = click.DateTime(formats=["%Y-%m-%d"])
_BULK_ENDINGS = (".jsonl", ".ndjson", ".json")
_PACKED_ENDINGS = (".gz", ".xz", ".bz2")


def require_site() -> None:
    """Refuse, with the way out, where the site's packages are not installed."""
    if importlib.util.find_spec("django") is None:
        command = f"{extras.install_command('site')}   ({extras.WHERE})"
        raise Refusal(f"this command needs the site's packages. Get them with: {command}", 5)


@contextmanager
def opened_database() -> Iterator[None]:
    """Bring the database up to date; refuse with what is wrong with it, then or in what follows."""
    require_site()
    from broadsheet.site.papers import database

    try:
        with database.with_database():
            yield
    except database.DatabaseProblem as problem:
        raise Refusal(str(problem), 6) from problem


def _is_bulk(path: Path) -> bool:
    name = path.name.lower()
    for packed in _PACKED_ENDINGS:
        name = name.removesuffix(packed)
    return name.endswith(_BULK_ENDINGS)


def _reader(
    path: Path, form: str, saved: dt.date | None, strict: bool, on_problem: Callable[[Problem], None]
) -> Iterator[PaperRecord]:
    from broadsheet.sources import jsonl, saved_page

    if form == "jsonl" or (form == "auto" and _is_bulk(path)):
        return jsonl.read(path, strict=strict, on_problem=on_problem)
    return saved_page.read(path, saved=saved, strict=strict, on_problem=on_problem)


class _Import:
    """Imports records into the database and tells how it went."""

    def __init__(self, source: str, *, as_json: bool, dry_run: bool = False) -> None:
        self.source = source
        self.as_json = as_json
        self.dry_run = dry_run
        self.problems: list[Problem] = []

    def run(self, records: Iterable[PaperRecord]) -> None:
        """Import all of ``records``; what was refused on the way stands in ``problems``."""
        if self.dry_run:
            count = sum(1 for _ in records)
            self._tell({"added": 0, "changed": 0, "unchanged": 0, "read": count})
            return
        with opened_database(), _progress("papers", shown=not self.as_json) as advance:
            from broadsheet.site.papers.importing import import_records

            summary = import_records(records, source=self.source, progress=advance)
        self.problems.extend(summary.problems)
        self._tell(
            {"added": summary.added, "changed": summary.changed, "unchanged": summary.unchanged}, summary
        )

    def _tell(self, counts: dict[str, int], summary: ImportSummary | None = None) -> None:
        refused = sum(not p.warning for p in self.problems)
        skipped = max(refused, summary.skipped if summary is not None else 0)
        if self.as_json:
            problems = [
                {"line": p.line, "message": p.message, "found": p.found, "warning": p.warning}
                for p in self.problems
            ]
            voice.print_json({**counts, "skipped": skipped, "problems": problems})
            return
        for problem in self.problems[:20]:
            voice.warn(str(problem))
        if len(self.problems) > 20:
            voice.warn(f"… and {len(self.problems) - 20:,} more; --json lists them all")
        words = ", ".join(f"{count:,} {word}" for word, count in {**counts, "skipped": skipped}.items())
        voice.say(
            f"{words[0].upper()}{words[1:]}." + (" Nothing was written (--dry-run)." if self.dry_run else "")
        )


class _progress:
    """A progress bar on standard error, where a person looks."""

    def __init__(self, what: str, *, shown: bool) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        console = voice.stderr_console()
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}"), TimeElapsedColumn(),
            console=console, disable=not (shown and console.is_terminal), transient=True,
        )  # fmt: skip
        self._task = self._bar.add_task(what, total=None)

    def __enter__(self) -> Callable[[int], None]:
        self._bar.start()
        return lambda done: self._bar.update(self._task, completed=done)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--saved", type=_DAY, help="Day on which the page was saved, YYYY-MM-DD: the page itself has no year."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["auto", "page", "jsonl"]),
    default="auto",
    show_default=True,
    help="What the file is; auto goes by its ending.",
)
@click.option(
    "--strict", is_flag=True, help="Refuse the whole file at the first fault instead of skipping a paper."
)
@click.option(
    "--dry-run", is_flag=True, help="Read and check only; write nothing. Works without the site's packages."
)
@voice.json_option
def import_command(
    file: Path, saved: dt.datetime | None, form: str, strict: bool, dry_run: bool, as_json: bool
) -> None:
    """Import a saved Daily Papers page, or a bulk file of arXiv records.

    A page is what "select all, copy" in a browser gives, as a text file. A bulk file is JSON Lines, also
    packed (.gz, .xz, .bz2). Importing the same file twice changes nothing.

    \b
    Example:
      broadsheet import page.txt --saved 2025-12-08
      broadsheet import arxiv.jsonl.xz
    """
    if saved and saved.date() > dt.date.today() + dt.timedelta(days=1):
        raise click.BadParameter(f"{saved:%Y-%m-%d} lies in the future", param_hint="--saved")
    source = "jsonl" if form == "jsonl" or (form == "auto" and _is_bulk(file)) else "saved-page"
    job = _Import(source, as_json=as_json, dry_run=dry_run)
    try:
        # A page, and whatever is strict, is read to its end before the first paper is written: all or nothing.
        records: Iterable[PaperRecord] = _reader(
            file, form, saved.date() if saved else None, strict, job.problems.append
        )
        if strict or source == "saved-page":
            records = list(records)
        job.run(records)
    except SourceError as error:
        where = f"{file}: {error}"
        nothing = strict or source == "saved-page"
        raise Refusal(f"{where}. Nothing was imported." if nothing else where, 1 if strict else 4) from error


def _days(first: dt.date | None, last: dt.date | None) -> list[dt.date]:
    """Return the days from ``first`` to ``last``; today alone where neither is given."""
    begin = first or last or dt.datetime.now(dt.UTC).date()
    end = last or begin
    if end < begin:
        raise click.UsageError(f"--until {end} lies before --since {begin}")
    return [begin + dt.timedelta(days=n) for n in range((end - begin).days + 1)]


class _Waits(logging.Handler):
    """Tells on standard error why a source is waited for, instead of silence."""

    def emit(self, record: logging.LogRecord) -> None:
        voice.warn(record.getMessage())


class _HarvestState:
    """Where the last harvest of each OAI set ended: a small file beside the database."""

    def __init__(self) -> None:
        self.path = places.home() / "harvests.json"
        self.ends: dict[str, str] = json.loads(self.path.read_text()) if self.path.is_file() else {}

    def since(self, set_spec: str) -> dt.date | None:
        """Return the day from which the set's next harvest goes on, or None."""
        day = self.ends.get(set_spec)
        return dt.date.fromisoformat(day) if day else None

    def keep(self, set_spec: str, day: dt.date | None) -> None:
        """Remember that the set is here up to ``day``."""
        if day is not None:
            from broadsheet.lab.store import write_atomically

            self.ends[set_spec] = day.isoformat()
            write_atomically(self.path, json.dumps(self.ends, indent=1) + "\n")


def _sync(
    source: str,
    query: str | None,
    since: dt.date | None,
    until: dt.date | None,
    most: int,
    url: str | None,
    job: _Import,
) -> None:
    from broadsheet.sources import arxiv_api, arxiv_oai, hf_daily
    from broadsheet.sources.http import HUGGING_FACE, PoliteClient

    problems = job.problems.append
    if source == "hf":
        days = _days(since, until)
        address = url or hf_daily.URL
        client = PoliteClient(HUGGING_FACE, base_url=address)
        job.run(
            record
            for day in days
            for record in hf_daily.daily(date=day, base_url=address, client=client, on_problem=problems)
        )
    elif source == "oai":
        set_spec, state = query or "cs:cs:LG", _HarvestState()
        harvest = arxiv_oai.harvest(
            since=since or state.since(set_spec),
            until=until,
            set_spec=set_spec,
            base_url=url or arxiv_oai.URL,
            on_problem=problems,
        )
        job.run(harvest)
        if until is None:  # a harvest that was cut off at a day says nothing of the days after it
            state.keep(set_spec, harvest.next_since)
    else:
        job.run(
            arxiv_api.search(
                query or "cat:cs.LG",
                since=since,
                until=until,
                max_results=most,
                base_url=url or arxiv_api.URL,
                on_problem=problems,
            )
        )


@click.command("sync")
@click.argument("source", type=click.Choice(["arxiv", "oai", "hf"]))
@click.option(
    "--query", help="arXiv: a query such as 'cat:cs.LG AND ti:pruning'. OAI: a set such as cs:cs:LG."
)
@click.option("--since", type=_DAY, help="First day, YYYY-MM-DD.")
@click.option("--until", type=_DAY, help="Last day, YYYY-MM-DD.")
@click.option(
    "--most", type=click.IntRange(1, 30_000), default=200, show_default=True, help="arXiv: at most so many."
)
@click.option("--url", help="Address of a mirror of the source on this machine; default: the source itself.")
@voice.json_option
def sync_command(
    source: str,
    query: str | None,
    since: dt.datetime | None,
    until: dt.datetime | None,
    most: int,
    url: str | None,
    as_json: bool,
) -> None:
    """Read new papers from arXiv (its API or OAI-PMH) or Hugging Face Daily Papers.

    arXiv is asked once in three seconds, as it demands; answers are kept for a day. A harvest by OAI-PMH goes on
    where the last one of the same set ended, unless --since says otherwise.

    \b
    Example:
      broadsheet sync hf --since 2025-12-08
      broadsheet sync arxiv --query 'cat:stat.ME AND abs:censoring' --most 50
    """
    first, last = since.date() if since else None, until.date() if until else None
    if source == "hf":
        _days(first, last)
    log = logging.getLogger("broadsheet.sources.http")
    log.setLevel(logging.INFO)
    log.addHandler(_Waits())
    job = _Import({"hf": "hf-daily", "oai": "arxiv-oai", "arxiv": "arxiv-api"}[source], as_json=as_json)
    try:
        _sync(source, query, first, last, most, url, job)
    except (SourceError, ValueError) as error:
        raise Refusal(f"{source}: {error}", 4) from error


# A word after a minus is a part of the query: "-h" of "-human" is no option here.
@click.command("search", context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.argument("query", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "--limit", type=click.IntRange(1, 200), default=10, show_default=True, help="At most so many papers."
)
@voice.json_option
def search_command(query: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Find papers by words, phrases and fields.

    Fields: title: author: org: cat: id: year: (also year:2024..2025). A phrase stands in double quotes, a
    word after a minus must not occur. First come the papers with every word, then those with some.

    \b
    Example:
      broadsheet search 'title:"scaling law" year:2025'
      broadsheet search scaling -vision
    """
    for word in query:
        if word.startswith("--"):
            raise click.NoSuchOption(word)
    with opened_database():
        from broadsheet.search.fts5 import COUNTED
        from broadsheet.site.papers import finding

        found = finding.find(" ".join(query), limit=limit)
    if as_json:
        voice.print_json(
            {
                "query": " ".join(query),
                "total": min(found.total, COUNTED),
                "is_more": found.total > COUNTED,
                "notes": list(found.query.notes),
                "papers": [_hit(h) for h in found.hits],
            }
        )
        return
    for note in found.query.notes:
        voice.warn(note)
    if not found.hits:
        voice.say("No paper matches. Fewer words, or no field, find more.")
        return
    voice.print_table(
        ["id", "date", "title", "authors", "words"],
        [
            [
                h.paper.key,
                str(h.paper.published_on or ""),
                h.paper.title,
                _short(h.paper.authors_text),
                "every" if h.has_every_word else "some",
            ]
            for h in found.hits
        ],
        styles=["bold"],
    )


def _short(authors: str) -> str:
    names = authors.split("; ")
    return authors if len(names) <= 3 else f"{names[0]} and {len(names) - 1} more"


def _hit(hit: Any) -> dict[str, Any]:
    paper = hit.paper
    return {
        "id": paper.key,
        "arxiv_id": paper.arxiv_id,
        "title": paper.title,
        "authors": [name for name in paper.authors_text.split("; ") if name],
        "published_on": None if paper.published_on is None else paper.published_on.isoformat(),
        "method": paper.method or None,
        "score": hit.score,
        "has_every_word": hit.has_every_word,
    }
