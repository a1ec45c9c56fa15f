from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.claims import Scale, Verdict
from broadsheet.site.pages import measurements
from broadsheet.site.pages.plot import Axis, claim_plot, nice_ticks

from . import made_up


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_few_round_and_inside(low, span):
    high = low + span
    if high <= low:
        return
    ticks = nice_ticks(low, high)
    assert 1 <= len(ticks) <= 7
    assert all(low - span * 1e-3 <= t <= high + span * 1e-3 for t in ticks)


def test_an_axis_keeps_order_and_ends():
    axis = Axis(-1.0, 3.0)
    places = [axis.x(v) for v in (-9, -1, 0, 1, 3, 9)]
    assert places == sorted(places)
    assert places[0] == places[1]
    assert places[-1] == places[-2]


def drawn(view: measurements.ClaimView) -> ET.Element:
    return ET.fromstring(claim_plot(view))


def test_a_claim_is_drawn_with_published_value_interval_and_words(view):
    power = next(c for c in view.claims if c.id == "power")
    svg = drawn(power)
    assert svg.attrib["role"] == "img"
    words = svg.attrib["aria-label"]
    assert "published 0.91" in words
    assert "reference 0.902" in words
    assert "0.880 to 0.920" in words
    classes = [e.attrib.get("class", "") for e in svg.iter()]
    assert "p-tick" in classes
    assert "p-band" in classes
    assert "p-none" in classes
    dot = next(e for e in svg.iter() if "p-dot" in e.attrib.get("class", ""))
    span = next(e for e in svg.iter() if "p-span" in e.attrib.get("class", ""))
    assert float(span.attrib["x1"]) < float(dot.attrib["cx"]) < float(span.attrib["x2"])


def test_earlier_runs_are_faint_dots(view, results):
    for value in (0.49, 0.51, 0.5):
        made_up.measure_here(results, "share-of-heads", Verdict.REPRODUCED, value)
    heads = measurements.paper_view(made_up.KEY).claims[0]
    assert len(re.findall('class="p-past"', claim_plot(heads))) == 2


def test_each_scale_has_a_row_of_its_own(view, results):
    made_up.measure_here(results, "share-of-heads", Verdict.REPRODUCED, 0.49)
    made_up.measure_here(results, "share-of-heads", Verdict.REPRODUCED, 0.51, scale=Scale.SMOKE)
    heads = measurements.paper_view(made_up.KEY).claims[0]
    words = drawn(heads).attrib["aria-label"]
    assert "measured here, laptop 0.49" in words
    assert "measured here, smoke 0.51" in words
    assert words.index("laptop") < words.index("smoke") < words.index("reference")
    assert "p-past" not in claim_plot(heads)


def test_nothing_measured_draws_nothing(view):
    mint = next(c for c in view.claims if c.id == "mint")
    assert claim_plot(mint) == ""


@pytest.mark.parametrize("value", [0.5, 1e300, -1e300, 1e-300])
def test_extreme_values_still_draw(view, results, value):
    made_up.measure_here(results, "share-of-heads", Verdict.NOT_REPRODUCED, value)
    heads = measurements.paper_view(made_up.KEY).claims[0]
    assert drawn(heads).tag.endswith("svg")
    assert "nan" not in claim_plot(heads)


def test_an_equality_has_ticks_that_differ(coins):
    (coins / "claims.py").write_text(made_up.CLAIMS.replace("holds=at_most(1)", "holds=within(absolute=0)"))
    kept = json.loads((coins / "results" / "laptop.json").read_text())
    kept["claims"]["passes"] = made_up.result("passes", Verdict.REPRODUCED, 1.0, unit="passes").as_dict()
    (coins / "results" / "laptop.json").write_text(json.dumps(kept))
    passes = next(c for c in measurements.paper_view(made_up.KEY).claims if c.id == "passes")
    numbers = [e.text for e in drawn(passes).iter() if e.tag == "text" and "class" not in e.attrib]
    assert len(numbers) >= 3
    assert len(set(numbers)) == len(numbers)
