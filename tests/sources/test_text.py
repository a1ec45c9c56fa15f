"""Foreign text becomes text that can be stored, sent and shown."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from broadsheet.sources.text import one_line, shorten, unsafe_characters

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=50)


@given(ANY_TEXT)
def test_cleaned_text_is_one_line_that_utf8_and_xml_can_hold(text: str) -> None:
    clean = one_line(text)
    assert clean == " ".join(clean.split())
    clean.encode("utf-8")
    element = ElementTree.Element("a")
    element.text = clean
    assert (ElementTree.fromstring(ElementTree.tostring(element, "utf-8")).text or "") == clean
    assert one_line(clean) == clean
    assert unsafe_characters(clean) == ""


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=50))
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert one_line(text) == text


def test_what_is_taken_out_is_named() -> None:
    assert (
        unsafe_characters("a\u202eb\x01\ud800")
        == "control characters, bidirectional overrides, broken characters"
    )
    assert one_line("a\u202eb\x01c\ud800") == "ab c\ufffd"


@given(ANY_TEXT, st.integers(1, 30))
def test_an_excerpt_is_never_longer_than_asked(text: str, width: int) -> None:
    assert len(shorten(text, width)) <= width
    assert "\n" not in shorten(text, width)


def test_a_short_text_is_not_cut() -> None:
    assert shorten("a title", 7) == "a title"
    assert shorten("a title!", 7) == "a titl…"
    assert shorten("x" * 10**7) == "x" * 79 + "…"
