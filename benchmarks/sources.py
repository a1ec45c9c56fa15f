"""Measures the readers of papers' metadata against the bare work that none of them can avoid.

    python benchmarks/sources.py [FILE.jsonl[.gz|.xz|.bz2]]

Without a file, made-up records are measured. Every figure is the median of five runs in one process; the ratio is to
the peer of the same line: for bulk files, ``json.loads`` of every line; for Atom, ElementTree's own parser.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

from broadsheet.sources import arxiv_api, jsonl, saved_page
from broadsheet.sources.compressed import open_plain
from broadsheet.sources.ids import parse_arxiv_id
from broadsheet.sources.record import SourceError, title_key

RUNS = 5
SAVED = dt.date(2025, 12, 8)
WORDS = "We make up a law of things that are made up, and measure $x$ where it holds; it holds. " * 14


def median(work: Callable[[], object]) -> float:
    """Return the median of the processor seconds of five runs."""
    seconds = []
    for _ in range(RUNS):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


def drain(records: Iterator[object]) -> int:
    """Count what comes, and keep none of it."""
    return sum(1 for _ in records)


def line(what: str, count: int, unit: str, seconds: float, peer: float | None = None) -> None:
    """Print one line of the table."""
    ratio = f"{seconds / peer:6.1f} x" if peer else ""
    print(f"{what:<44}{count:>8,} {unit:<8}{1000 * seconds:>9.1f} ms{count / seconds:>12,.0f} /s {ratio:>10}")


def made_up_records(count: int) -> bytes:
    """Return bulk metadata of so many papers."""
    return b"".join(
        json.dumps(
            {
                "id": f"2401.{number:05}",
                "title": f"A Made-up Law of Things, Number {number}",
                "abstract": WORDS,
                "authors": ["A. Doe", "B. Roe", "C. Poe", "D. Low"],
                "categories": ["cs.LG", "stat.ML"],
                "first_seen": "2025-03-18",
                "comment": "9 pages, 2 figures",
            }
        ).encode()
        + b"\n"
        for number in range(count)
    )


def made_up_page(count: int) -> bytes:
    """Return a saved page of so many papers."""
    papers = "".join(
        f"\nMade Up {number}\n\n{WORDS}\n\n  • 3 authors\n·\nJan 21, 2024 1\n" for number in range(count)
    )
    return f"Dec 8\n{papers}".encode()


def made_up_feed(count: int) -> bytes:
    """Return an Atom feed of so many entries."""
    entry = (
        "<entry><id>http://arxiv.org/abs/2401.{0:05}v1</id><updated>2024-01-01T00:00:00Z</updated><published>"
        "2024-01-01T00:00:00Z</published><title>Made Up {0}</title><summary>{1}</summary><author><name>A. Doe</name>"
        "</author><author><name>B. Roe</name></author><category term='cs.LG'/></entry>"
    )
    entries = "".join(entry.format(number, WORDS) for number in range(count))
    return f"<feed xmlns='http://www.w3.org/2005/Atom'>{entries}</feed>".encode()


def garbage(piece: bytes, size: int = 100 << 20) -> Iterator[bytes]:
    """Yield a page that begins well and goes on with so many bytes of one piece."""
    yield b"Dec 8\n\n"
    chunk = piece * (65536 // len(piece))
    for _ in range(size // len(chunk)):
        yield chunk


def main() -> None:
    """Print the table."""
    if len(sys.argv) > 1:
        with Path(sys.argv[1]).open("rb") as file:
            bulk = open_plain(file).read()
    else:
        bulk = made_up_records(20_000)
    lines = bulk.splitlines()
    peer = median(lambda: [json.loads(text) for text in lines])
    seconds = median(lambda: drain(jsonl.read(io.BytesIO(bulk), on_problem=print)))
    line("bulk file (to json.loads)", len(lines), "records", seconds, peer)

    page = made_up_page(2000)
    line(
        "saved page",
        2000,
        "papers",
        median(lambda: drain(saved_page.read([page], saved=SAVED, on_problem=print))),
    )
    feed = made_up_feed(2000)
    peer = median(lambda: ElementTree.fromstring(feed))
    seconds = median(lambda: arxiv_api._Reader(0, with_ids=False).read(feed))
    line("one slice of the Atom API (to ElementTree)", 2000, "entries", seconds, peer)
    titles = [json.loads(text)["title"] for text in lines[:20_000]]
    line("keys of titles", len(titles), "titles", median(lambda: [title_key(title) for title in titles]))
    ids = [f"https://arxiv.org/abs/2401.{number:05}v2" for number in range(20_000)]
    line("ids from addresses", len(ids), "ids", median(lambda: [parse_arxiv_id(text) for text in ids]))

    print("\n100 MB of garbage after the date of a page")
    pieces = {
        "one line": b"x",
        "short lines": b"x\n",
        "empty lines": b"\n",
        "bytes": bytes(range(256)),
        "pairs": b"x\n\n",
    }
    pieces["wrong dates"] = " • 3 authors\n·\nFeb 30\n\n".encode()
    for name, piece in pieces.items():
        start = time.process_time()
        try:
            drain(saved_page.read(garbage(piece), saved=SAVED, on_problem=lambda problem: None))
            end = "read"
        except SourceError as error:
            end = str(error)
        print(f"{name:<14}{time.process_time() - start:>6.1f} s  {end[:90]}")
    print(
        f"largest memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB"
    )


if __name__ == "__main__":
    main()
