from __future__ import annotations

import json
import os

import pytest

from broadsheet.claims import Verdict

from . import made_up

BASE = "/papers/1901.99999/files/power/reference/"


def test_a_named_figure_is_served_to_be_kept(client, coins_paper):
    response = client.get(BASE + "power--power.light.svg?v=2025")
    assert response.status_code == 200
    assert b"".join(response.streaming_content).startswith(b"<svg")
    assert response.headers["Content-Type"] == "image/svg+xml"
    assert "immutable" in response.headers["Cache-Control"]
    assert "sandbox" in response.headers["Content-Security-Policy"]
    assert response.headers["Last-Modified"]


def test_a_reference_without_its_date_is_asked_for_again(client, coins_paper):
    response = client.get(BASE + "power--power.csv")
    assert response.headers["Cache-Control"] == "no-cache"
    response.close()


def test_files_of_a_measurement_are_served_under_its_own_name(client, coins_paper, results):
    stored = made_up.measure_here(results, "passes", Verdict.NOT_REPRODUCED, 2.0, with_files=True)
    address = f"/papers/1901.99999/files/passes/{stored.folder.name}/run.csv"
    response = client.get(address)
    assert b"".join(response.streaming_content).startswith(b"memory,power")
    assert "immutable" in response.headers["Cache-Control"]


@pytest.mark.parametrize(
    "path",
    [
        "laptop.json",
        "../laptop.json",
        "..%2flaptop.json",
        "%2e%2e/laptop.json",
        "../../paper.toml",
        "....//paper.toml",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "power--power.light.svg%00.svg",
        "power--power.light.SVG",
        "unnamed.svg",
        "result.json",
        ".hidden.svg",
    ],
)
def test_nothing_else_is_served(client, coins_paper, coins, path):
    (coins / "results" / "figures" / "unnamed.svg").write_text("<svg/>")
    assert client.get(BASE + path).status_code == 404


@pytest.mark.parametrize(
    "address",
    [
        "/papers/1901.99999/files/power/nowhere/power--power.light.svg",
        "/papers/1901.99999/files/passes/reference/power--power.light.svg",
        "/papers/1901.99999/files/no-claim/reference/power--power.light.svg",
        "/papers/1901.88888/files/power/reference/power--power.light.svg",
    ],
)
def test_only_under_the_claim_and_paper_that_own_it(client, coins_paper, address):
    assert client.get(address).status_code == 404


def test_a_link_out_of_the_folder_is_not_followed(client, coins_paper, coins, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("secret")
    path = coins / "results" / "figures" / "power--power.csv"
    path.unlink()
    os.symlink(secret, path)
    assert client.get(BASE + "power--power.csv").status_code == 404


def test_a_result_cannot_name_a_file_elsewhere(client, coins_paper, coins):
    path = coins / "results" / "laptop.json"
    kept = json.loads(path.read_text())
    kept["claims"]["power"]["figures"][0]["table"] = "../../README.md"
    path.write_text(json.dumps(kept))
    for name in ("../../README.md", "..%2f..%2fREADME.md"):
        assert client.get(BASE + name).status_code == 404
