"""What the site is and what the verdicts mean; the pages of errors."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.http import require_safe

from broadsheet.claims import Verdict
from broadsheet.site.pages.measurements import mark_of_verdict

__all__ = ["NotHere", "about", "not_found", "server_error"]

_MEANINGS = {
    Verdict.REPRODUCED: "The published number itself was derived again, within the tolerance that the claim "
    "declares; or the effect was measured at the authors' own scale.",
    Verdict.HOLDS: "The effect shows on a smaller problem than the authors'. The published number stands "
    "beside ours and is not expected to be met.",
    Verdict.INCONCLUSIVE: "The 95 % interval contains “no effect”, or lies across the bound of what counts.",
    Verdict.NOT_REPRODUCED: "Measured honestly, and outside what counts as holding. That is a result too.",
    Verdict.NEEDS_DATA: "The data are not on this machine; the claim says how to get them.",
    Verdict.NEEDS_HARDWARE: "This machine cannot measure it; the claim says what it takes.",
    Verdict.FAILED: "The measurement ended with an error, a limit of time or memory, or no number.",
}


class NotHere(Http404):
    """A page that is not there, with the way on.

    Args:
        heading: What is not there, as a heading.
        advice: One sentence that helps.
        command: A command that may bring it, or "".
        query: What the search field is filled with.
    """

    def __init__(self, heading: str, advice: str, *, command: str = "", query: str = "") -> None:
        super().__init__(advice)
        self.heading, self.advice, self.command, self.query = heading, advice, command, query


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    """Say what the site is and what each verdict means."""
    verdicts = [(mark_of_verdict(verdict), str(verdict), words) for verdict, words in _MEANINGS.items()]
    return render(request, "pages/about.html", {"verdicts": verdicts})


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer for a page that is not there."""
    # Django's own message names the address patterns; a reader has no use for it.
    ours = exception if isinstance(exception, NotHere) else None
    said = exception.args[0] if exception.args and isinstance(exception.args[0], str) else ""
    context = {
        "heading": ours.heading if ours else "This page is not here",
        "advice": ours.advice if ours else said,
        "command": ours.command if ours else "",
        "query": ours.query if ours else "",
    }
    return render(request, "pages/404.html", context, status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer where a page failed. It reads nothing that may be broken: no database, no results."""
    return HttpResponse(render_to_string("pages/500.html"), status=500)
