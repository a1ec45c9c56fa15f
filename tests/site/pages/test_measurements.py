from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from broadsheet.claims import Scale, Verdict
from broadsheet.site.pages import measurements
from broadsheet.site.pages.measurements import NOT_MEASURED

from . import made_up


def claim(name: str) -> measurements.ClaimView:
    return next(c for c in measurements.paper_view(made_up.KEY).claims if c.id == name)


def test_without_a_measurement_the_reference_is_shown_and_said_to_be_one(view):
    power = claim("power")
    assert power.shown is power.reference
    assert not power.is_here
    assert power.verdict == "holds at this scale"
    assert claim("passes").verdict == NOT_MEASURED
    assert claim("passes").mark == "none"


def test_a_measurement_from_outside_is_seen_at_once_and_the_newest_counts(view, results):
    assert claim("power").here is None
    made_up.measure_here(results, "power", Verdict.INCONCLUSIVE, 0.7, scale=Scale.SMOKE)
    assert claim("power").here.value == 0.7
    time.sleep(0.002)
    made_up.measure_here(results, "power", Verdict.HOLDS, 0.9)
    assert [r.value for r in claim("power").history] == [0.9, 0.7]
    assert claim("power").reference.value == 0.902


def test_checks_push_no_measurement_out(view, results):
    kept = made_up.measure_here(results, "power", Verdict.NOT_REPRODUCED, 0.3)
    for _ in range(30):
        made_up.measure_here(results, "power", Verdict.INCONCLUSIVE, 0.7, scale=Scale.SMOKE)
    power = claim("power")
    assert power.shown == kept
    assert power.is_here
    assert power.beside.scale == "smoke"
    assert len(power.history) <= 30


def test_a_check_changes_no_tally(view, results):
    before = measurements.paper_view(made_up.KEY).holding
    made_up.measure_here(results, "power", Verdict.INCONCLUSIVE, 0.7, scale=Scale.SMOKE)
    made_up.measure_here(results, "share-of-heads", Verdict.FAILED, None, reason="It broke.")
    assert measurements.paper_view(made_up.KEY).holding == before == 2


def test_a_changed_reference_is_read_again(view, coins):
    path = coins / "results" / "laptop.json"
    kept = json.loads(path.read_text())
    kept["claims"]["power"]["value"] = 0.5
    time.sleep(0.01)
    path.write_text(json.dumps(kept))
    assert claim("power").reference.value == 0.5


def test_a_damaged_reference_is_said_and_hides_no_claim(view, coins):
    time.sleep(0.01)
    (coins / "results" / "laptop.json").write_text("{")
    damaged = measurements.paper_view(made_up.KEY)
    assert "laptop.json" in damaged.problem
    assert len(damaged.claims) == 5


@pytest.mark.parametrize(
    ("source", "said"), [("1/0", "ZeroDivisionError"), ("raise SystemExit(3)", "SystemExit")]
)
def test_a_broken_claims_file_is_said_and_leaves_the_other_papers(coins, source, said):
    (coins / "claims.py").write_text(source)
    broken = measurements.paper_view(made_up.KEY)
    assert said in broken.problem
    assert broken.claims == ()
    assert made_up.KEY in [view.paper.key for view in measurements.all_papers()]


def test_lately_lists_what_was_measured_here_newest_first(view, results):
    made_up.measure_here(results, "power", Verdict.HOLDS, 0.9)
    made_up.measure_here(results, "passes", Verdict.NOT_REPRODUCED, 2.0)
    ids = [c.id for c in measurements.lately(measurements.all_papers())]
    assert ids == ["passes", "power"]


def test_reading_the_catalogue_for_pages_loads_no_method_and_no_torch(tmp_path):
    code = (
        "import sys, django\n"
        "from django.conf import settings\n"
        "settings.configure(INSTALLED_APPS=['django.contrib.contenttypes', 'broadsheet.site.papers'])\n"
        "django.setup()\n"
        "from broadsheet.site.pages import measurements, urls\n"
        "views = measurements.all_papers()\n"
        "assert views and all(v.claims for v in views), views\n"
        "heavy = {'torch', 'scipy', 'sklearn', 'pandas', 'matplotlib', 'transformers'} & set(sys.modules)\n"
        "sys.exit(f'pages load {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"BROADSHEET_HOME": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
