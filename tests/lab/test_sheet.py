"""A sheet: escaped, self-contained, with the numbers it was given."""

from __future__ import annotations

import math
import re

import pandas as pd
import pytest

from broadsheet.lab.sheet import Sheet, in_words


def test_whatever_is_given_as_text_is_escaped():
    sheet = Sheet("<b>t</b>", "<script>1</script>")
    sheet.heading("<i>")
    sheet.text("<u>")
    sheet.warn(["<s>"])
    sheet.facts({"<k>": "<v>"})
    sheet.table(pd.DataFrame({"<c>": ["<cell>"]}), "<caption>")
    html = sheet.html()
    for tag in ("<b>", "<script", "<i>", "<u>", "<s>", "<k>", "<v>", "<c>", "<cell>"):
        assert tag not in html


def test_nothing_is_asked_for_from_outside_and_figures_are_inside():
    sheet = Sheet("A figure")
    sheet.figure(
        lambda figure: figure.add_subplot().plot([1, 2], [3, 4]), "A line.", frame=pd.DataFrame({"x": [1.5]})
    )
    html = sheet.html()
    addresses = re.findall(r'(?:src|srcset|href)="([^"]*)"', html)
    assert len(addresses) == 2  # light and dark
    assert all(a.startswith("data:image/svg+xml;base64,") for a in addresses)
    assert 'alt="A line."' in html
    assert "1.5" in html


def test_an_index_with_names_is_shown_and_a_plain_count_is_not():
    named, plain = Sheet("a"), Sheet("a")
    named.table(pd.DataFrame({"v": [1.0]}, index=["alpha"]), "c")
    plain.table(pd.DataFrame({"v": [1.0]}), "c")
    assert "alpha" in named.html()
    assert "index" not in plain.html()


@pytest.mark.parametrize("value", [1.0, 0.3478, 999_999.0, 1e6, 2.5e21, 1e-5, 3.456e-12, 9.996e9])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_numbers_in_words_are_the_numbers(value, sign):
    text = in_words(sign * value).replace("−", "-")
    mantissa, _, power = text.partition("\u00a0×\u00a010")
    read = float(re.sub(r"\s", "", mantissa)) * 10.0 ** float(
        (power or "0").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    )
    assert math.isclose(read, sign * value, rel_tol=5e-3)
