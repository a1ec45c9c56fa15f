"""Reports: all that was measured, in one file that asks for nothing and runs nothing."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from broadsheet.claims import Scale, Verdict
from broadsheet.lab import reference, report
from broadsheet.lab.catalogue import Paper
from broadsheet.lab.execute import measure
from broadsheet.lab.markup import fenced, plain, sentence
from broadsheet.lab.report_html import inline
from broadsheet.lab.store import Result, Store
from broadsheet.lab.strip import strip
from broadsheet.rooms import Problem
from lab.shelf import FACTS, Shelf, one_claim, quick_figure

LINE = (
    quick_figure("'A line < a curve.'", "x,who\n1.25,<b>\n,|\n")
    + "return Measured(0.52, 0.48, 0.56, note='Two throws & more.')\n"
)
PaperOf = Callable[..., Paper]


class Page(HTMLParser):
    """What a page holds: its tags balanced, its links, its text."""

    VOID = frozenset({"meta", "img", "source", "br", "rect", "line", "circle", "path", "link", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_a_paper_is_told_in_full(paper_of: PaperOf) -> None:
    paper = paper_of(one_claim(LINE))
    reference.write(paper, measure([paper], "laptop"))
    measure([paper], "smoke", seeds=2)
    page = Page(report.html(paper))
    for words in (
        "A paper about a coin",
        "Doe, Roe, 2020",
        "We threw a coin. It was fair.",
        "A coin lands heads half the time",
        "published 0.5 share",
        "measured here, smoke scale 0.520 share 0.480 to 0.560",
        "measured by us 0.520 share",
        "reproduced",
        "Two throws & more.",
        "A line < a curve.",
        "Counts heads; the tolerance is four standard errors.",
        "exact: the published number itself is derived again",
        "Table 1",
        "within 0.1 of the published value",
        "laptop: minutes on two cores",
        "seed 0",
        "cores",
        "python 3.",
        "broadsheet run coin:heads --again",
        paper.fingerprint,
    ):
        assert words in page.text, words


def test_a_report_asks_for_nothing_outside_itself(paper_of: PaperOf) -> None:
    paper = paper_of(one_claim(LINE))
    measure([paper])
    page = Page(report.html(paper))
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "form")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "srcset"):
                assert value is not None
                assert value.startswith("data:image/svg+xml;base64,")
            if name == "href":
                assert value is not None
                assert value.startswith(("#", "https://arxiv.org/abs/"))
    policies = [a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv")]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    images = [a for t, a in page.tags if t == "img"]
    assert [a["alt"] for a in images] == ["A line < a curve."]
    assert len([t for t, a in page.tags if t == "source" and "dark" in (a["media"] or "")]) == 1


HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)> [x](javascript:alert(1)) </style> | ` # *'


def test_whatever_a_paper_says_nothing_of_it_runs(shelf: Shelf, tmp_path: Path) -> None:
    quoted = repr(HOSTILE)
    source = f"""
@claim({quoted}, published=0.5, unit={quoted}, where={quoted}, kind="exact", holds=within(absolute=0.1))
def heads(run):
    run.table("all", __import__("pandas").DataFrame({{{quoted}: [{quoted}]}}), caption={quoted})
{textwrap.indent(quick_figure(quoted), "    ")}
    return Measured(0.5, note={quoted})
heads.function.__doc__ = {quoted}
@claim("Fails", published=0.5, unit="", where="T", kind="exact", holds=within(absolute=0.1))
def tails(run):
    raise ValueError({quoted})
"""
    facts = FACTS.replace('"A paper about a coin"', f"'''{HOSTILE}'''").replace(
        '"Doe, Roe"', f"'''{HOSTILE}'''"
    )
    shelf.put(source, facts=facts.replace('"We threw a coin. It was fair."', f"'''{HOSTILE}'''"))
    (paper,) = shelf.load().papers
    first, second = measure([paper])
    assert (first.verdict, second.verdict) == (Verdict.REPRODUCED, Verdict.FAILED)
    file = report.write(tmp_path / "report.html", [paper], problems=[Problem("x", HOSTILE)])
    page = Page(file.read_text())
    known = (
        "html head meta title style body header main section article footer h1 h2 h3 p time a code dl dt dd div span "
        "strong em small details summary figure figcaption picture source img table caption thead tbody tr th td pre "
        "svg rect line circle path"
    )
    assert {tag for tag, _ in page.tags} <= set(known.split())
    assert not [a for _, a in page.tags if any(name.startswith("on") for name in a)]
    assert not [a for _, a in page.tags if "javascript:" in str(a.get("href"))]
    assert page.text.count("<script>alert(1)</script>") >= 8
    markdown = report.write(tmp_path / "report.md", [paper]).read_text()
    rendered = Page(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))
    assert not {"script", "style"} & {tag for tag, _ in rendered.tags}
    assert not [a for _, a in rendered.tags if any(name.startswith("on") for name in a)]
    assert not [a for _, a in rendered.tags if "javascript:" in str(a.get("href"))]


def test_markdown_has_the_same_facts_and_its_figures_beside_it(paper_of: PaperOf, tmp_path: Path) -> None:
    paper = paper_of(one_claim(LINE))
    measure([paper])
    file = report.write(tmp_path / "deep" / "coin.md", [paper])
    text = file.read_text()
    assert (
        "| A coin lands **heads** half the time | 0.5 share | 0.520 share (0.480 to 0.560) | ● reproduced |"
        in text
    )
    (linked,) = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert (file.parent / linked).read_bytes().startswith(b"\x89PNG")
    assert "![" not in report.markdown(paper)


def test_a_claim_that_was_not_measured_says_how(paper_of: PaperOf) -> None:
    paper = paper_of(one_claim(LINE))
    assert "not measured yet" in Page(report.html(paper)).text
    assert "broadsheet run coin:heads" in Page(report.html(paper)).text
    assert "Not measured yet: `broadsheet run coin:heads`" in report.markdown(paper)


def test_an_equality_has_no_wide_band(paper_of: PaperOf) -> None:
    (claim,) = paper_of(one_claim("return Measured(0.5)", holds="within(absolute=0)")).claims
    band = re.search(r'strip-accepted"[^>]* width="([0-9.]+)"', strip(claim, None))
    assert band is not None
    assert float(band[1]) < 1


def test_a_failed_attempt_does_not_hide_an_earlier_measurement(paper_of: PaperOf) -> None:
    paper = paper_of(one_claim(LINE))
    (good,) = measure([paper])
    Store().add(
        dataclasses.replace(good, verdict=Verdict.FAILED, reason="Bad luck.", value=None, low=None, high=None)
    )
    page = Page(report.html(paper))
    assert "measured here, smoke scale 0.520 share" in page.text
    assert "The last attempt here failed: Bad luck." in page.text


def test_the_whole_catalogue_has_contents_and_names_what_is_broken(shelf: Shelf, tmp_path: Path) -> None:
    shelf.put(one_claim("return Measured(0.5)"), slug="good")
    shelf.put("x = 1", slug="bad", facts=FACTS.replace("00001", "00002"))
    file = report.write(
        tmp_path / "all.html", shelf.load().papers, problems=[Problem("x", "paper.toml, line 3: broken")]
    )
    page = Page(file.read_text())
    assert "declares no claim" in page.text
    assert "paper.toml, line 3: broken" in page.text
    assert len([t for t, a in page.tags if t == "a" and (a["href"] or "").startswith("#")]) == 2
    empty = Page(report.write(tmp_path / "none.html", []).read_text())
    assert "There is no paper to report on." in empty.text


def test_an_ending_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end with \.html or \.md, got 'report\.pdf'"):
        report.write(tmp_path / "report.pdf", [])
    (tmp_path / "file").touch()
    with pytest.raises(Exception, match="cannot be written"):
        report.write(tmp_path / "file" / "report.html", [])


def test_long_tables_are_shown_in_part_and_say_so(paper_of: PaperOf) -> None:
    body = "run.table('all', __import__('pandas').DataFrame({'x': range(500)}), caption='All.')\nreturn Measured(0.5)"
    paper = paper_of(one_claim(body))
    measure([paper])
    page = Page(report.html(paper))
    assert "All. (the first 200 of 500 rows)" in page.text
    assert len([t for t, _ in page.tags if t == "tr"]) == 201


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a **b** *c* `d`", "a <strong>b</strong> <em>c</em> <code>d</code>"),
        ('<b> & "q" \' [x](http://y) ![x](y)', "&lt;b&gt; &amp; &quot;q&quot; ' [x](http://y) ![x](y)"),
        ("**open", "**open"),
        ("a_b_c 2*3*4", "a_b_c 2<em>3</em>4"),
    ],
)
def test_only_emphasis_and_code_are_markup(text: str, html: str) -> None:
    assert inline(text) == html


@given(st.text(alphabet="ab*_`[](){}<>|#~!&\\ \n/:\"'-", max_size=40))
def test_no_text_becomes_markup_that_was_not_meant(text: str) -> None:
    line = " ".join(text.split())
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["strikethrough", "table"])
    shown = Page(tokens.renderInline(plain(text)))
    assert shown.tags == []
    assert "".join(shown.words) == line
    assert {tag for tag, _ in Page(tokens.renderInline(sentence(text))).tags} <= {"em", "strong", "code"}
    block = tokens.parse("- a list\n\n" + "\n".join(fenced(text)))
    assert [t.content.rstrip("\n") for t in block if t.type == "fence"] == [
        "\n".join(text.splitlines()).rstrip("\n")
    ]


# --- the small plot


RESULT = Result("demo/coin", "heads", Scale.SMOKE, (0,), Verdict.HOLDS, "", 0.52, 0.48, 0.56, unit="share")


def places(svg: str, what: str) -> list[float]:
    return [float(x) for x in re.findall(rf'<circle class="{what}" cx="([\d.]+)"', svg)]


def test_the_plot_orders_what_was_measured_and_says_it(paper_of: PaperOf) -> None:
    claim = paper_of(one_claim("return Measured(0.5)")).claim("heads")
    older = [dataclasses.replace(RESULT, value=v) for v in (0.3, 0.7)]
    svg = strip(claim, RESULT, older)
    published = float(re.findall(r'class="strip-published" x1="([\d.]+)"', svg)[0])
    (now,) = places(svg, "strip-measured")
    low, high = places(svg, "strip-earlier")
    assert low < published < now < high
    assert 'aria-label="published 0.5 share; measured 0.520 share (0.480 to 0.560)"' in svg
    assert all(8 <= float(x) <= 312 for x in re.findall(r'c?x[12]?="([\d.]+)"', svg))


def test_the_plot_stands_for_any_values(paper_of: PaperOf) -> None:
    directed = "holds=above(0)"
    source = (
        one_claim("return Measured(0.5)")
        .replace("published=0.5", "published=None")
        .replace("'exact'", "'trend'")
    )
    claim = paper_of(
        source.replace('kind="exact"', 'kind="trend"').replace("holds=within(absolute=0.1)", directed)
    ).claims[0]
    assert "accepted values" in strip(claim, None) or strip(claim, None) == ""
    for value in (0.0, -1e300, 1e300, 1e-300):
        svg = strip(claim, dataclasses.replace(RESULT, value=value, low=None, high=None))
        assert "nan" not in svg.lower()
        assert "inf" not in svg.lower()
    lost = dataclasses.replace(RESULT, value=None, low=None, high=None)
    assert places(strip(claim, lost, [RESULT]), "strip-measured") == []
