"""What the lab costs beyond a claim's own time.

Measures trivial claims, each in a process of its own, beside what no lab can avoid: starting a bare Python
process. Run it on an idle machine:

    python benchmarks/lab.py [--claims 20]

The bar is 0.5 s a claim beyond the claim's own time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

FACTS = """
arxiv_id = "2001.00001"
title = "Trivial claims"
year = 2020
authors = "Nobody"
summary = "Claims that take no time. They show what the lab costs."
"""
CLAIM = '''
@claim("Claim {n}", published=0.5, unit="", where="T", kind="exact", holds=within(absolute=0.1))
def claim_{n}(run: Run) -> Measured:
    """Takes no time."""
    return Measured(0.5)
'''


def lay_out(folder: Path, count: int) -> None:
    paper = folder / "benchmark_papers" / "trivial" / "claims"
    paper.mkdir(parents=True)
    (paper / "paper.toml").write_text(FACTS)
    head = "from broadsheet.claims import Measured, Run, claim, within\n"
    (paper / "claims.py").write_text(head + "".join(CLAIM.format(n=n) for n in range(count)))


def each(count: int, once: Callable[[int], float]) -> list[float]:
    once(0)  # the first one reads files that the others find in memory
    return [once(n) for n in range(count)]


def row(name: str, seconds: list[float], base: float) -> None:
    middle = statistics.median(seconds)
    worst = max(seconds)
    print(f"{name:42} {middle:8.3f} {worst:8.3f} {middle / base:8.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--claims", type=int, default=20)
    count = parser.parse_args().claims
    with tempfile.TemporaryDirectory() as name:
        os.environ["BROADSHEET_HOME"] = f"{name}/home"
        folder = Path(name) / "lib"
        lay_out(folder, count)
        sys.path.insert(0, str(folder))
        from broadsheet.lab import load
        from broadsheet.lab.execute import measure

        (paper,) = load([("benchmark_papers", folder / "benchmark_papers")]).papers

        def bare(_: int) -> float:
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", "pass"], check=True)
            return time.perf_counter() - began

        def in_the_lab(n: int) -> float:
            began = time.perf_counter()
            (result,) = measure([(paper, paper.claims[n])], again=True)
            assert result.value == 0.5
            return time.perf_counter() - began - result.seconds

        def known(n: int) -> float:
            began = time.perf_counter()
            measure([(paper, paper.claims[n])])
            return time.perf_counter() - began

        processes = each(count, bare)
        base = statistics.median(processes)
        print(f"{'seconds a claim, beyond its own':42} {'median':>8} {'worst':>8} {'x bare':>8}")
        row("a bare Python process", processes, base)
        row("the lab, one claim a call", each(count, in_the_lab), base)
        for jobs in (1, 2):
            began = time.perf_counter()
            results = measure([paper], again=True, jobs=jobs)
            spent = time.perf_counter() - began - sum(r.seconds for r in results)
            row(f"the lab, {count} claims in one call, {jobs} at once", [spent / count], base)
        row("the lab, measured before", each(count, known), base)
        print(f"cores: {os.cpu_count()}, load: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
