"""A paper's page, and its BibTeX entry."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from broadsheet import extras
from broadsheet.site.pages import bibtex, measurements
from broadsheet.site.pages.templatetags.broadsheet import host, web
from broadsheet.site.pages.views.about import NotHere
from broadsheet.site.papers.models import Paper
from broadsheet.sources.ids import parse_arxiv_id

__all__ = ["Link", "bib", "find", "links_of", "show"]

_LONGEST_KEY = 200
_EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
_SECTION = re.compile(r"^## +(.+?)\s*$\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
# What a reader of the page wants from the README; its example and its table stand on the page already.
_WANTED = re.compile(r"when|limit|not for|differs", re.IGNORECASE)


@dataclass(frozen=True)
class Link:
    """A way out of the page: what it leads to, in a word, and the address."""

    word: str
    address: str
    note: str = ""


class Moved(Exception):
    """The paper stands under another key now."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def find(key: str) -> Paper:
    """Return the paper of that key.

    Args:
        key: arXiv id, or slug of a paper without one.

    Raises:
        Moved: if its address is another: a slug whose arXiv id is known, an id with a version.
        NotHere: if there is none.
    """
    if len(key) <= _LONGEST_KEY and "\0" not in key:
        papers = Paper.objects.select_related("organisation")
        wanted = Q(arxiv_id=key) | Q(slug=key)
        try:
            canonical = parse_arxiv_id(key).id
            wanted |= Q(arxiv_id=canonical)
        except ValueError:
            canonical = ""
        # An id goes before a slug that happens to read the same.
        found = sorted(papers.filter(wanted)[:3], key=lambda p: p.arxiv_id not in (key, canonical))
        if found and found[0].key == key:
            return found[0]
        if found:
            raise Moved(found[0].key)
    else:
        canonical = ""
    raise NotHere(
        "This paper is not here",
        "Papers come in by import or sync; search may find it under another name.",
        command=f"broadsheet sync arxiv --query id:{canonical}" if canonical else "",
        query=key[:80] if not canonical else "",
    )


@require_safe
def show(request: HttpRequest, key: str) -> HttpResponse:
    """Show a paper: its claims first where it runs."""
    try:
        paper = find(key)
    except Moved as moved:
        return HttpResponseRedirect(reverse("paper", args=[moved.key]))
    view = measurements.paper_view(paper.method) if paper.method else None
    context: dict[str, Any] = {
        "paper": paper,
        "authorships": list(paper.authorships.select_related("author")[:500]),
        "days": sorted(set(paper.listings.values_list("day", flat=True)), reverse=True)[:6],
        "links": links_of(paper),
        "bibtex": bibtex.entry(paper),
        "view": view,
    }
    if view is not None:
        context |= _use(view)
    return render(request, "pages/paper.html", context)


@require_safe
def bib(request: HttpRequest, key: str) -> HttpResponse:
    """Return a paper's BibTeX entry as a file."""
    try:
        paper = find(key)
    except Moved as moved:
        return HttpResponseRedirect(reverse("bib", args=[moved.key]))
    name = f"{bibtex.key(paper)}.bib"
    return HttpResponse(
        bibtex.entry(paper),
        content_type="text/x-bibtex; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def links_of(paper: Paper) -> list[Link]:
    """Return where else a paper can be read; foreign addresses only if they lead to the web."""
    links = []
    if paper.arxiv_id:
        links.append(Link("arXiv", f"https://arxiv.org/abs/{paper.arxiv_id}", paper.arxiv_id))
        links.append(Link("PDF", f"https://arxiv.org/pdf/{paper.arxiv_id}"))
    if paper.doi:
        address = "https://doi.org/?" + urlencode({"doi": paper.doi})
        # The usual form of a DOI needs no quoting; anything else goes through the resolver's form.
        if re.fullmatch(r"10\.[0-9.]+/[A-Za-z0-9._;()/:-]+", paper.doi):
            address = f"https://doi.org/{paper.doi}"
        links.append(Link("DOI", address, paper.doi))
    for word, foreign in (("Code", paper.code_url), ("Project", paper.project_page)):
        if web(foreign):
            links.append(Link(word, web(foreign), host(foreign)))
    return links


def _use(view: measurements.PaperView) -> dict[str, Any]:
    readme = view.paper.readme
    example = _EXAMPLE.search(readme)
    package = view.paper.package.split(".")[0]
    is_ours = view.paper.room.built_in
    if is_ours:
        install = extras.install_command(*view.extras)
    else:
        install = (
            f"pip install '{package}[{','.join(view.extras)}]'" if view.extras else f"pip install {package}"
        )
    return {
        "install": install,
        "install_where": extras.WHERE if is_ours else "",
        "example": example[1].strip() if example else "",
        "sections": [(head, body) for head, body in _SECTION.findall(readme) if _WANTED.search(head)],
        "figures": [
            (claim, result, picture)
            for claim in view.claims
            if (result := claim.shown) is not None
            for picture in result.figures
        ],
    }
