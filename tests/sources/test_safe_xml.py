"""XML of strangers."""

from __future__ import annotations

import pytest

from broadsheet.sources import safe_xml
from broadsheet.sources.http import TryAgain
from broadsheet.sources.record import SourceError
from broadsheet.sources.safe_xml import elements, local_name, text_of

BILLION_LAUGHS = b"""<?xml version="1.0"?>
<!DOCTYPE a [<!ENTITY b "hahaha"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>
<a><x>&c;</x></a>"""
OUTSIDE = b"""<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a><x>&b;</x></a>"""


def texts(body: bytes) -> list[str]:
    return [text_of(element) for element in elements(body, frozenset({"x"}))]


def test_elements_are_found_by_name_in_any_namespace() -> None:
    assert texts(b'<a xmlns="u:1"><x> 1\n 2 </x><b><x xmlns="u:2">3<i>4</i></x></b></a>') == ["1 2", "34"]
    assert [local_name(e) for e in elements(b'<a xmlns:n="u:1"><n:x/></a>', frozenset({"x"}))] == ["x"]


@pytest.mark.parametrize("body", [BILLION_LAUGHS, OUTSIDE, b"<!DOCTYPE a><a><x>1</x></a>"])
def test_document_types_and_entities_are_refused(body: bytes) -> None:
    with pytest.raises(SourceError, match="document type or entities"):
        texts(body)


@pytest.mark.parametrize(
    "body",
    [b"", b"not xml", b"<a><x>1</x>", b"<a><x>1</y></a>", b"<a>\x00</a>", b"<a>&undefined;</a>", b"\xff\xfe<a/>",
     b'<?xml version="1.0" encoding="nonsense"?><a/>'],
)  # fmt: skip
def test_what_is_not_well_formed_may_be_asked_for_again(body: bytes) -> None:
    with pytest.raises(TryAgain, match="well-formed"):
        texts(body)


def test_depth_and_number_of_elements_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_xml, "_MOST_ELEMENTS", 1000)
    for body in (b"<x>" * 100 + b"</x>" * 100, b"<a>" + b"<b/>" * 1001 + b"</a>"):
        with pytest.raises(SourceError, match="nested too deeply or with too many"):
            texts(body)
