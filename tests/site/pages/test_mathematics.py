from __future__ import annotations

import time
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadsheet.site.pages import mathematics
from broadsheet.site.pages.mathematics import clip, plain, render, segments

ALLOWED = mathematics._MATHML | {"em", "strong", "code", "sup", "sub", "a"}


class Tags(HTMLParser):
    """Collects tags and attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.depth = 0
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.depth += 1

    def handle_endtag(self, tag):
        self.depth -= 1

    def handle_data(self, data):
        self.text += data


def assert_safe(html: str) -> None:
    seen = Tags(html)
    assert seen.depth == 0, html
    for tag, attributes in seen.tags:
        assert tag in ALLOWED, html
        if tag == "a":
            assert str(attributes["href"]).lower().startswith(("http://", "https://"))
            assert attributes["rel"] == "nofollow noopener noreferrer"
        else:
            assert not any(
                name.startswith("on") or name in ("href", "src", "style") for name in attributes
            ), html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "$<script>alert(1)</script>$",
        r"$\text{<img src=x onerror=alert(1)>}$",
        r"$\href{javascript:alert(1)}{x}$",
        r"\href{javascript:alert(1)}{x}",
        'http://a.bc/"onmouseover="alert(1)',
        "https://a.bc/<svg onload=alert(1)>",
        r"\emph{<b onclick=x>} \texttt{</code><script>}",
        "\ue000<script>\ue001 \ue002",
        r"$\color{red}{\style{x}{y}}$ $\class{x}{y}$",
        "$" + "{" * 3000 + "$",
        "{" * 8000,
        r"\emph{" * 3000,
        "$a" * 4000,
        "$$" * 4000,
        r"\\" * 4000 + "$",
        "~" * 5000 + r"\'",
    ],
)
def test_hostile_text_is_safe_and_quick(text):
    begun = time.process_time()
    assert_safe(render(text))
    plain(text)
    clip(text, 100)
    assert time.process_time() - begun < 5


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [*r"\$ {}<>&%#^_~`'-()[]ab1", r"\emph{", r"\(", r"\)", r"\frac", "https://a.bc/", "$$"]
        ),
        max_size=30,
    )
)
def test_any_text_is_safe_and_nothing_is_lost_in_segments(parts):
    text = "".join(parts)
    assert "".join(s.raw for s in segments(text)) == text
    assert_safe(render(text))
    assert "\n" not in plain(text)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        (r"Fr\'echet and Erd\H{o}s", "Fréchet and Erdős"),
        (r"5\% & 100% of a_b^c #3", "5% &amp; 100% of a_b^c #3"),
        (r"\emph{all} \textbf{of \texttt{it}}", "<em>all</em> <strong>of <code>it</code></strong>"),
        (r"{\em old} way", "old way"),
        (r"a -- b --- c ``d''", "a – b — c “d”"),
        (r"we call it \ours{} here", "we call it ours here"),
        (r"see \cite{x} there", "see there"),
        ("only 1M~60M, of ~ 0.2", "only 1M~60M, of ~ 0.2"),
        ("Section~2", "Section\u00a02"),
        (r"the object\'s edge", "the object’s edge"),
        (r"from $3 to $5, \$7", "from $3 to $5, $7"),
    ],
)
def test_tex_of_running_text_becomes_letters(text, html):
    assert render(text) == html


@pytest.mark.parametrize("text", ["$n^2$", r"\(n^2\)"])
def test_inline_formula_becomes_mathml(text):
    html = render(f"a {text} b")
    assert html.startswith('a <math display="inline">')
    assert "<msup><mi>n</mi><mn>2</mn></msup>" in html
    assert html.endswith("</math> b")


@pytest.mark.parametrize("text", ["$$x$$", r"\[x\]"])
def test_display_formula_is_a_block(text):
    assert '<math display="block">' in render(text)


@pytest.mark.parametrize("text", [r"$\sqrt{$", "${$", "$" + "x" * 5000 + "$"])
def test_what_cannot_be_read_is_shown_as_written(text):
    assert render(text) == text


@pytest.mark.parametrize(
    ("text", "address", "rest"),
    [
        ("at~https://github.com/a/b.", "https://github.com/a/b", "."),
        ("see (https://a.bc/d_(e)).", "https://a.bc/d_(e)", ")."),
        ("http://x.edu/~bar/ .", "http://x.edu/~bar/", " ."),
        (r"https://a.bc/x\_y, then", "https://a.bc/x_y", ", then"),
        (r"\url{https://a.bc/d}.", "https://a.bc/d", "."),
        (r"\href{https://a.bc/d}{https://a.bc/d}!", "https://a.bc/d", "!"),
    ],
)
def test_addresses_become_links_without_the_sentence_s_sign(text, address, rest):
    html = render(text)
    assert f'<a href="{address}" rel="nofollow noopener noreferrer">{address}</a>{rest}' in html
    assert "<a" not in render(text, links=False)


def test_plain_text_keeps_the_words_of_a_formula():
    assert plain(r"An $\mathcal{O}(n)$ \emph{test}  of $\alpha$") == "An O(n) test of α"


@pytest.mark.parametrize("limit", [10, 30, 60, 90])
def test_clipping_never_cuts_a_formula_and_keeps_the_limit(limit):
    text = r"We show $a_{i} + b_{j} = c$ holds. It is \emph{very} good and $x$ is not. " * 3
    kept = clip(text, limit)
    assert len(kept) <= limit + 2
    assert kept.count("$") % 2 == 0
    assert kept.count("{") == kept.count("}")


def test_clipping_ends_behind_a_sentence_where_one_ends_late_enough():
    assert clip("First is this. Second is much longer than that.", 30) == "First is this."
    assert clip("short", 30) == "short"
    assert clip("word " * 20, 22).endswith(" …")


@pytest.mark.parametrize("text", [r"A $\begin{foo} x", r"\begin{foo} alone", r"over \end{foo}"])
def test_an_environment_that_is_torn_is_shown_as_it_was_written(text):
    assert render(text) == text
