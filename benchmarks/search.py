"""How fast and how good lexical search is over 75,000 real papers.

    BROADSHEET_DATA=folder python benchmarks/search.py

reads ``arxiv-2025-2026.jsonl.xz`` from a folder of ``BROADSHEET_DATA``, imports it once into a temporary database
(or uses the one in ``--home``), and prints a table: wall time of each kind of query, and how often a paper is among
the first ten for three random content words of its title.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

QUESTIONS = [
    "how do large language models hallucinate when they summarise long clinical documents for doctors",
    "does reinforcement learning from human feedback make language models less diverse in their answers",
    "which attention mechanism reduces the memory of transformers on very long video sequences",
    "can graph neural networks predict protein interactions with fewer labelled examples than before",
    "what is the effect of quantisation on the accuracy of small vision language models",
    "why do diffusion models memorise training images and how can this be prevented cheaply",
    "is federated learning robust against poisoning attacks by many colluding malicious clients today",
    "how should we evaluate retrieval augmented generation systems without human relevance judgements at all",
]
COMMON = ["model", "learning", "the", "data", "method", "language", "propose", "results", "we", "performance"]
FIELDS = [
    'title:"diffusion model" year:2025',
    "cat:cs.CL hallucination",
    "cat:cs.CV model",
    "year:2024..2026 model",
    "author:wang transformer",
    "cat:cs.IT coding -quantum",
    "id:2503.11677",
    "segmentation -medical year:>=2026",
]


def queries(
    papers: list[tuple[int, str, str]], rng: random.Random
) -> dict[str, list[tuple[str, int | None]]]:
    from broadsheet.search.query import STOP_WORDS

    known, phrases, authors = [], [], []
    while len(known) < 200:
        key, title, _ = rng.choice(papers)
        words = {w for w in re.findall(r"[A-Za-z]{3,}", title.lower()) if w not in STOP_WORDS}
        if len(words) >= 3:
            known.append((" ".join(rng.sample(sorted(words), 3)), key))
    while len(phrases) < 100:
        words = re.findall(r"[A-Za-z]{3,}", rng.choice(papers)[1])
        if len(words) >= 3:
            n = rng.randrange(len(words) - 2)
            phrases.append((f'"{" ".join(words[n : n + rng.choice([2, 3])])}"', None))
    while len(authors) < 100:
        names = [n for n in rng.choice(papers)[2].split("; ") if n]
        if names:
            name = rng.choice(names)
            authors.append((rng.choice([f'author:"{name}"', name, f"author:{name.split()[-1]}"]), None))
    return {
        "three words of a title": known,
        "phrase": phrases,
        "author": authors,
        "fields": [(q, None) for q in FIELDS] * 5,
        "twelve-word question": [(q, None) for q in QUESTIONS] * 5,
        "one very common word": [(q, None) for q in COMMON] * 5,
    }


def prepare(home: Path) -> None:
    os.environ["BROADSHEET_HOME"] = str(home)
    os.environ["DJANGO_SETTINGS_MODULE"] = "broadsheet.site.settings"
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from broadsheet.site.papers.models import Paper

    if Paper.objects.count() < 70_000:
        from broadsheet.places import data_folders
        from broadsheet.site.papers.importing import import_records
        from broadsheet.sources import jsonl

        for folder in data_folders():
            for path in folder.rglob("arxiv-2025-2026.jsonl.xz"):
                import_records(jsonl.read(path, on_problem=lambda _: None), source="jsonl")
                return
        sys.exit("arxiv-2025-2026.jsonl.xz is in no folder of BROADSHEET_DATA")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--home", type=Path, help="folder with (or for) the database; default: a temporary one"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        prepare(given.home or Path(temporary))
        measure(given.seed, given.json)


def measure(seed: int, as_json: bool) -> None:
    from django.db import connection

    from broadsheet.search.fts5 import search
    from broadsheet.search.query import parse
    from broadsheet.site.papers.finding import INDEX, find

    with connection.cursor() as cursor:
        cursor.execute("SELECT id, title, authors_text FROM papers_paper ORDER BY id")
        papers = cursor.fetchall()
    kinds = queries(papers, random.Random(seed))
    rows, everything, found_in_ten, pages = [], [], 0, []
    for kind, asked in kinds.items():
        times, processor = [], time.process_time()
        for text, key in asked:
            start = time.perf_counter()
            found = search(connection, INDEX, parse(text), limit=10)
            times.append((time.perf_counter() - start) * 1e3)
            found_in_ten += key is not None and key in [hit.key for hit in found.hits]
        processor = (time.process_time() - processor) * 1e3 / len(asked)
        everything += times
        rows.append((kind, len(asked), *quantiles(times), processor))
        for text, _ in asked[:40]:
            start = time.perf_counter()
            find(text)
            pages.append((time.perf_counter() - start) * 1e3)
    rows.append(("all of them", len(everything), *quantiles(everything), 0.0))
    rows.append(("with rows and excerpts", len(pages), *quantiles(pages), 0.0))
    quality = found_in_ten / len(kinds["three words of a title"])
    if as_json:
        print(json.dumps({"papers": len(papers), "known_item_at_10": quality, "rows": rows}))
        return
    print(f"{len(papers):,} papers, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}\n")
    print(
        "| query | number | p50 ms | p95 ms | p99 ms | most ms | cpu ms each |\n|---|---|---|---|---|---|---|"
    )
    for kind, number, p50, p95, p99, most, cpu in rows:
        print(f"| {kind} | {number} | {p50:.1f} | {p95:.1f} | {p99:.1f} | {most:.1f} | {cpu:.1f} |")
    print(f"\nknown item within the first ten: {quality:.3f}")


def quantiles(times: list[float]) -> tuple[float, float, float, float]:
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return statistics.median(times), cuts[94], cuts[98], max(times)


if __name__ == "__main__":
    main()
