"""The five domains: nothing that is validated was trained on, and a short domain is told."""

from __future__ import annotations

import numpy as np
import pytest

from broadsheet.claims import NeedsData
from broadsheet.methods.scaling.regmix import domains


@pytest.fixture(scope="module")
def text():
    return domains.load_domains(dict.fromkeys(domains.DOMAINS, 20_000), 4_000)


def readable(codes):
    return "".join(chr(code + 32) for code in codes)


def test_every_domain_has_what_was_asked_for_in_64_codes(text):
    for part, size in zip(text, (20_000, 4_000), strict=True):
        assert set(part) == set(domains.DOMAINS)
        for codes in part.values():
            assert len(codes) == size
            assert codes.min() >= 0
            assert codes.max() < domains.VOCABULARY


def test_no_long_passage_stands_in_both_parts(text):
    for name in ("docs", "legal", "arithmetic", "sequences"):
        train, held = readable(text[0][name]), readable(text[1][name])
        passages = {held[i : i + 80] for i in range(0, len(held) - 80, 40)}
        assert sum(passage in train for passage in passages) <= 0.03 * len(passages), name


def test_the_domains_are_what_they_say(text):
    assert "PYTHON" in readable(text[0]["docs"])
    assert "RETURN" in readable(text[0]["code"])
    assert "LICEN" in readable(text[0]["legal"])
    left, right = readable(text[0]["arithmetic"]).split("\\")[3].split("=")
    assert eval(left) == int(right)
    assert set(readable(text[0]["sequences"])) <= set("ACGT\\ ")


def test_readings_agree(text):
    again = domains.load_domains(dict.fromkeys(domains.DOMAINS, 20_000), 4_000)
    assert all(np.array_equal(a[n], b[n]) for a, b in zip(text, again, strict=True) for n in domains.DOMAINS)


def test_a_short_domain_needs_data(monkeypatch):
    monkeypatch.setattr(domains, "_docs", lambda: ["short"])
    with pytest.raises(NeedsData, match=r"domain 'docs' has [06] characters"):
        domains.load_domains({"docs": 1000}, 100)


def test_without_the_systems_licences_those_of_packages_serve(monkeypatch, tmp_path):
    monkeypatch.setattr(domains, "_LICENCES", tmp_path)
    found = list(domains._legal())
    assert len(found) > 3
    assert any("COPYRIGHT" in piece.upper() for piece in found)
