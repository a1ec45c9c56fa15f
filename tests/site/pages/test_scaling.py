"""A table is dropped, its report appears; nothing stays unless asked for, and a hostile table harms nothing."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from broadsheet.site.pages import workbench


def table() -> bytes:
    N, D = (a.ravel() for a in np.meshgrid(np.geomspace(1e7, 1e9, 4), np.geomspace(1e9, 1e11, 4)))
    return (
        pd.DataFrame({"N": N, "D": D, "loss": 1.8 + 480 / N**0.35 + 2100 / D**0.37})
        .to_csv(index=False)
        .encode()
    )


def send(content: bytes, name: str = "runs.csv", **fields: str):
    return Client().post("/scaling", {"runs": SimpleUploadedFile(name, content), **fields})


def test_the_form_says_what_is_wanted(get):
    html = get("/scaling")
    assert "Drop a table" in html
    assert 'name="csrfmiddlewaretoken"' in html


def test_a_table_becomes_a_report_and_is_forgotten(home):
    answer = send(table())
    html = answer.content.decode()
    assert answer.status_code == 200
    assert "Chinchilla law on 16 runs" in html
    assert "0.35" in html
    assert not (home / "reports").exists()
    assert answer["Cache-Control"].startswith("max-age=0")


def test_budgets_make_a_plan(home):
    html = send(table(), flops="1e21 1e22").content.decode()
    assert "Where to put the compute" in html
    assert html.count("tokens per parameter") >= 2


def test_a_report_is_kept_when_asked_for_and_found_by_its_address_alone(home, get):
    answer = send(table(), keep="1")
    assert answer.status_code == 302
    assert re.fullmatch(r"/scaling/reports/[\w-]{22}", answer.url)
    assert "Chinchilla law" in get(answer.url)
    assert len(list((home / "reports").iterdir())) == 1
    for other in ("/scaling/reports/" + "a" * 22, "/scaling/reports/..%2Fsecret-key", "/scaling/reports/x"):
        assert Client().get(other).status_code == 404


def test_a_report_may_show_its_own_style_and_nothing_else(home):
    answer = send(table())
    policy = answer["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert policy == workbench.policy(answer.content.decode())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"a,b\n1,2\n", "column &#x27;N&#x27; is not in the table"),
        (b"N,D,loss\n" + b"1e8,2e9,3\n" * 9, "distinct"),
        (b"N,D,loss\n1e8,<script>,3\n", "must hold numbers, got &#x27;&lt;script&gt;&#x27;"),
        (b"\xff\xfe\x00" * 50, "your-table.csv"),
        (b"PK\x03\x04" + b"\x00" * 200, "your-table.csv"),
        (b"x" * (workbench.LIMIT + 1), "larger than 2 MB"),
    ],
    ids=["empty", "other columns", "one size", "script", "bytes", "zip", "large"],
)
def test_a_bad_table_is_answered_with_what_is_wrong(home, content, message):
    answer = send(content)
    html = answer.content.decode()
    assert answer.status_code == 400
    assert message in html
    assert 'role="alert"' in html
    assert "Traceback" not in html
    assert "/tmp" not in html
    assert "<script>," not in html


@pytest.mark.parametrize(
    "fields",
    [
        {"law": "--output=/etc/x"}, {"loss_unit": "furlongs"}, {"column_N": "a,b=c"}, {"group": "x\ny"}, {"flops": "lots"},
        {"flops": "--keep=/tmp/x"},
    ],
)  # fmt: skip
def test_no_field_of_the_form_becomes_an_option_of_its_own(home, fields):
    answer = send(table(), **fields)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.content.decode()


def test_without_a_file_or_with_two_nothing_is_done(home):
    assert Client().post("/scaling", {}).status_code == 400
    two = [SimpleUploadedFile("a.csv", table()), SimpleUploadedFile("b.csv", table())]
    assert Client().post("/scaling", {"runs": two}).status_code == 400


def test_a_post_without_the_token_of_the_form_is_refused(home):
    client = Client(enforce_csrf_checks=True)
    assert client.post("/scaling", {"runs": SimpleUploadedFile("a.csv", table())}).status_code == 403


def test_a_fit_that_takes_too_long_is_ended(home, monkeypatch):
    monkeypatch.setattr(workbench, "_CHILD", "while True: pass")
    monkeypatch.setattr(workbench, "_SECONDS", 0.2)
    with pytest.raises(workbench.Refused, match=r"took longer than 0\.2 seconds"):
        workbench.measure([table()], "fit", [])


def test_memory_is_limited(home, monkeypatch):
    greedy = workbench._CHILD.replace(
        "from broadsheet.cli import main; main()", "x = bytearray(3_000_000_000)"
    )
    monkeypatch.setattr(workbench, "_CHILD", greedy)
    with pytest.raises(workbench.Refused, match="the fit broke off"):
        workbench.measure([table()], "fit", [])


def test_only_so_many_are_fitted_at_once(home):
    held = [workbench._AT_ONCE.acquire(blocking=False) for _ in range(2)]
    try:
        answer = send(table())
        assert answer.status_code == 503
        assert "in a moment" in answer.content.decode()
    finally:
        for _ in filter(None, held):
            workbench._AT_ONCE.release()
    assert send(table()).status_code == 200
