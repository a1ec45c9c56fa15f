"""A made-up paper that runs, joined by an entry point, with results: for tests that need claims.

It stands in a folder of its own, which is put on the import path with the metadata of a distribution.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from broadsheet.claims import Scale, Verdict
from broadsheet.lab.store import Picture, Result, Store, TableFile

ARXIV_ID = "1901.99999"
KEY = "statistics/coin-tosses"
TITLE = r"Coins That Remember: an $\mathcal{O}(n)$ Test"

TITLE_IN_TOML = f"'{TITLE}'"

TOML = rf'''
arxiv_id = "{ARXIV_ID}"
title = {TITLE_IN_TOML}
year = 2019
published_on = 2019-01-09
authors = "Doe, Roe"
code_url = "https://example.org/coins"
licence = "MIT"
summary = """A coin that remembers its last toss is told from one that does not by counting pairs. \
The test needs one pass and no tables."""
tags = ["coins", "tests"]
names = ["PairTest"]
family = "statistics"
'''

CLAIMS = '''
"""Claims of a made-up paper."""
from broadsheet.claims import Measured, Run, above, at_most, claim, within


@claim("A fair coin lands heads **0.5** of the time", published=0.5, unit="of the throws", where="Table 1",
       kind="exact", holds=within(absolute=0.02))
def share_of_heads(run: Run) -> Measured:
    """Counts heads in `10,000` throws.

    The tolerance is four binomial standard errors, which a fair coin leaves once in sixteen thousand runs.
    """
    return Measured(0.5)


@claim("The pair test finds a memory of **0.1** in nine of ten samples of 400", published=0.91, unit="power",
       where="Figure 2", kind="scaled", holds=above(0.8), no_effect=0.05)
def power(run: Run) -> Measured:
    """Simulates samples with a known memory and counts how often the test rejects at the 5 % level."""
    return Measured(0.9)


@claim("The pair test beats the runs test", published=None, unit="difference of power", where="Section 4",
       kind="trend", holds=above(0), no_effect=0)
def beats_runs(run: Run) -> Measured:
    """Measures both tests on the same samples; the difference of their power is above zero if this holds."""
    return Measured(0.1)


@claim("It needs no more than **one** pass over $n$ throws", published=1, unit="passes", where="eq. 3", kind="exact",
       holds=at_most(1))
def passes(run: Run) -> Measured:
    """Counts how often each throw is read while the statistic is computed."""
    return Measured(1)


@claim("On the mint's own records the memory is **0.02**", published=0.02, unit="", where="Table 3", kind="scaled",
       holds=within(relative=0.5), data=("mint-records",))
def mint(run: Run) -> Measured:
    """Fits the memory to the records of a mint, which are not free to pass on."""
    return Measured(0.02)
'''

README = """# Coins that remember

Tells a coin with a memory from one without.

## When to use it
When throws come **in order** and you suspect that one depends on the last. See [the test](https://example.org/t).

## Example

```python
from coin_tosses import PairTest

test = PairTest(level=0.05)
print(test.power(0.1, n=400))
```

## Limits
A memory of more than one throw is not looked for. <script>alert("readme")</script>
"""

CSV = "memory,power\n0.0,0.05\n0.05,0.41\n0.1,0.9012345\n"


def picture(colour: str) -> str:
    """Return a small drawing."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 400"><style>path{{fill:none}}</style>'
        f'<path d="M40 360H680M40 360V20" stroke="{colour}"/><path d="M40 340L300 160L680 60" stroke="{colour}" '
        f'stroke-width="3"/><text x="560" y="50" fill="{colour}" font-size="20">pair test</text></svg>'
    )


def write_paper(folder: Path) -> Path:
    """Write the paper as an installed distribution into a folder of the import path; return its own folder."""
    home = folder / "coin_tosses"
    home.mkdir(parents=True)
    (home / "__init__.py").write_text('"""Coins."""\n')
    (home / "paper.toml").write_text(TOML)
    (home / "claims.py").write_text(CLAIMS)
    (home / "README.md").write_text(README)
    info = folder / "coin_tosses-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: coin-tosses\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[broadsheet.papers]\ncoins = coin_tosses\n")
    return home


def result(claim: str, verdict: Verdict, value: float | None, **more: Any) -> Result:
    """Return a result of a claim of the paper."""
    fields: dict[str, Any] = {
        "scale": Scale.LAPTOP,
        "seeds": (0, 1, 2),
        "reason": "The value lies among the accepted values.",
        "started": "2025-11-03T10:00:00.000000Z",
        "seconds": 74.0,
        "machine": {"cores": 2, "processor": "Test CPU", "memory_gb": 8.0},
        "versions": {"python": "3.11.7"},
        "code": {"version": "0.1.0", "fingerprint": "0" * 16},
        "value": value,
    } | more
    return Result(paper=KEY, claim=claim, verdict=verdict, **fields)


def write_references(home: Path) -> None:
    """Write reference results of three claims, one with a figure and its table."""
    figures = home / "results" / "figures"
    figures.mkdir(parents=True)
    for style, colour in (("light", "#1f4e8c"), ("dark", "#8fb8f0")):
        (figures / f"power--power.{style}.svg").write_text(picture(colour))
    (figures / "power--power.csv").write_text(CSV)
    drawn = Picture(
        "power",
        "Power of the pair test against the strength of the memory.",
        {f"{style}.svg": f"power--power.{style}.svg" for style in ("light", "dark")},
        "power--power.csv",
    )
    results = [
        result("share-of-heads", Verdict.REPRODUCED, 0.5012, unit="of the throws"),
        result("power", Verdict.HOLDS, 0.902, low=0.88, high=0.92, unit="power", figures=(drawn,)),
        result("beats-runs", Verdict.INCONCLUSIVE, 0.02, low=-0.01, high=0.05, unit="difference of power"),
    ]
    kept = {r.claim: r.as_dict() for r in results}
    (home / "results" / "laptop.json").write_text(json.dumps({"schema": 1, "claims": kept}))


def measure_here(
    folder: Path,
    claim: str,
    verdict: Verdict,
    value: float | None,
    *,
    when: dt.datetime | None = None,
    with_files: bool = False,
    **more: Any,
) -> Result:
    """Store a result as a measurement on this machine would."""
    store = Store(folder)
    moment = (when or dt.datetime.now(dt.UTC)).isoformat().replace("+00:00", "Z")
    partial = store.begin(KEY, claim)
    if with_files:
        (partial / "run.light.svg").write_text(picture("#1f4e8c"))
        (partial / "run.dark.svg").write_text(picture("#8fb8f0"))
        (partial / "run.csv").write_text(CSV)
        more["figures"] = (
            Picture("run", "One run.", {"light.svg": "run.light.svg", "dark.svg": "run.dark.svg"}),
        )
        more["tables"] = (TableFile("run", "One run as a table.", "run.csv"),)
    return store.add(result(claim, verdict, value, started=moment, **more), partial)


Measure = Callable[..., Result]
