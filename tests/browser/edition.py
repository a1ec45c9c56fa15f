"""Serves an installation with a made-up edition, for a browser: ``python edition.py FOLDER`` prints the address."""

from __future__ import annotations

import datetime as dt
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "site"))

from pages import made_up

DAY = dt.date(2025, 12, 8)
SENTENCE = (
    "We measure how a made-up quantity moves when another one is held, and find that it moves a little. "
)


def records(count: int, day: dt.date):
    """Yield made-up papers, some with formulas, accents and long words in them."""
    from broadsheet.sources.record import Organisation, PaperRecord

    for n in range(count):
        title = (
            rf"Estimating $\mathcal{{O}}(n^{{{n}}})$ Quantities: a Study of Case {n}"
            if n % 4 == 0
            else f"Quantity {n} Moves When Another One Is Held, and What That Tells of Supercalifragilistic Models"
        )
        yield PaperRecord(
            title=title,
            source="jsonl",
            arxiv_id=f"{day:%y%m}.{10000 + n + 100 * day.day}",
            abstract=SENTENCE * 6
            + rf"Code: https://example.org/a/{'long' * 20}/{n}. It holds for $\alpha_{{{n}}} > 0$.",
            authors=tuple(f"Zoë Author{k}" for k in range(1 + n % 7)),
            organisation=Organisation("mint", "The Mint") if n % 5 == 0 else None,
            published_on=day - dt.timedelta(days=3 * n),
            listed_on=day,
            categories=("stat.ME", "cs.LG"),
            project_page="javascript:alert(1)",
        )


def prepare(folder: Path) -> None:
    """Make the installation: the made-up paper with results, an edition and one a week earlier."""
    from broadsheet.claims import Scale, Verdict
    from broadsheet.site.papers import database

    results = folder / "home" / "results"
    now = dt.datetime.now(dt.UTC)
    heads = {"unit": "of the throws", "scale": Scale.SMOKE}
    made_up.measure_here(
        results, "share-of-heads", Verdict.REPRODUCED, 0.497, when=now - dt.timedelta(days=2), **heads
    )
    made_up.measure_here(
        results, "share-of-heads", Verdict.REPRODUCED, 0.506, when=now, with_files=True, **heads
    )
    made_up.measure_here(results, "passes", Verdict.NOT_REPRODUCED, 2.0, unit="passes")
    made_up.measure_here(
        results, "mint", Verdict.NEEDS_DATA, None, reason="The data mint-records are absent."
    )
    database.prepare()
    from broadsheet.site.papers.importing import import_records
    from broadsheet.site.papers.models import Listing, Paper

    import_records(records(38, DAY), source="jsonl")
    import_records(records(3, DAY - dt.timedelta(days=7)), source="jsonl")
    coins = Paper.objects.get(arxiv_id=made_up.ARXIV_ID)
    Listing.objects.create(paper=coins, day=DAY, source="saved-page", position=99)


def main(folder: Path) -> None:
    """Serve until the process is ended."""
    prepare(folder)
    import waitress

    from broadsheet.site.wsgi import application

    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    waitress.serve(application, sockets=[listener], threads=4, _quiet=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
