"""All claims of all papers, filtered by verdict, family and kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import get_args

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from broadsheet.claims import Kind, Verdict
from broadsheet.site.pages import measurements
from broadsheet.site.pages.measurements import NOT_MEASURED, ClaimView, PaperView
from broadsheet.site.papers.models import Paper

__all__ = ["Choice", "listing"]


@dataclass(frozen=True)
class Choice:
    """One choice of a filter, with the number of claims that it would leave."""

    value: str
    count: int
    chosen: bool


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """Show all claims, or those that the filters leave."""
    views = measurements.all_papers()
    families = sorted({view.paper.family for view in views})
    wanted = {
        "verdict": _known(request, "verdict", [*map(str, Verdict), NOT_MEASURED]),
        "family": _known(request, "family", families),
        "kind": _known(request, "kind", list(get_args(Kind))),
    }
    all_claims = [claim for view in views for claim in view.claims]
    # In these words the condition is that of the partial index over papers that run.
    stored = {p.method: p for p in Paper.objects.filter(method__gt="").order_by().defer("abstract")}
    rows = []
    for view in views:
        left = [claim for claim in view.claims if _matches(claim, wanted)]
        if left or (view.problem and not any(wanted.values())):
            rows.append((stored.get(view.paper.key), PaperView(view.paper, tuple(left), view.problem)))
    context = {
        "rows": rows,
        "total": len(all_claims),
        "left": sum(len(view.claims) for _, view in rows),
        "filtered": any(wanted.values()),
        "unknown": [
            (name, request.GET[name]) for name in wanted if request.GET.get(name) and not wanted[name]
        ],
        "verdicts": _choices([*map(str, Verdict), NOT_MEASURED], "verdict", all_claims, wanted),
        "families": _choices(families, "family", all_claims, wanted),
        "kinds": _choices(list(get_args(Kind)), "kind", all_claims, wanted),
        "tally": Counter(claim.verdict for claim in all_claims),
    }
    return render(request, "pages/claims.html", context)


def _known(request: HttpRequest, name: str, values: list[str]) -> str:
    given = request.GET.get(name, "")
    return given if given in values else ""


def _value(claim: ClaimView, name: str) -> str:
    return {"verdict": claim.verdict, "family": claim.paper.family, "kind": claim.claim.kind}[name]


def _matches(claim: ClaimView, wanted: dict[str, str]) -> bool:
    return all(not value or _value(claim, name) == value for name, value in wanted.items())


def _choices(values: list[str], name: str, claims: list[ClaimView], wanted: dict[str, str]) -> list[Choice]:
    others = {**wanted, name: ""}
    counts = Counter(_value(claim, name) for claim in claims if _matches(claim, others))
    return [Choice(v, counts[v], v == wanted[name]) for v in values if counts[v] or v == wanted[name]]
