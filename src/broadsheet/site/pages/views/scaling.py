"""The scaling workbench: a table of runs is dropped, its report appears."""

from __future__ import annotations

import re

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from broadsheet.site.pages import workbench
from broadsheet.site.pages.views.about import NotHere

__all__ = ["bench", "report"]

# The same names as the command line's, which a test holds: the site loads no method.
LAWS = (
    ("chinchilla", "Chinchilla: loss by parameters N and tokens D"),
    ("power", "Power law with an irreducible loss, one input"),
    ("power-without-offset", "Power law without an irreducible loss, one input"),
    ("reciprocal", "E + A / x, one input"),
    ("kaplan-steps", "Kaplan: loss by parameters N and steps S"),
    ("loss-trajectory", "Trajectory: loss by parameters N, steps S and batch B (tokens)"),
)
COLUMNS = ("N", "D", "C", "S", "B", "loss")
_SINGLE = ("power", "power-without-offset", "reciprocal")
_UNITS = ("nats", "bits", "perplexity")
_HEAD = re.compile(r"[^\x00-\x1f,=]{1,100}")


class _WrongForm(Exception):
    """A field of the form cannot be used; the message names it."""


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def bench(request: HttpRequest) -> HttpResponse:
    """Show the form, or fit the table that was sent and answer with its report."""
    if request.method != "POST":
        return _form(request)
    uploads = request.FILES.getlist("runs")
    if len(uploads) != 1:
        return _form(request, "Choose one CSV file with a header and one run a row.", 400)
    try:
        command, options = _words(request)
        found = workbench.measure(uploads[0].chunks(), command, options)
    except (_WrongForm, workbench.Refused) as refused:
        return _form(request, str(refused), 400)
    except workbench.Busy:
        return _form(request, "This server is fitting other tables. Send yours again in a moment.", 503)
    if request.POST.get("keep"):
        return redirect("report", token=workbench.keep(found))
    return _report(found.html)


@never_cache
@require_safe
def report(request: HttpRequest, token: str) -> HttpResponse:
    """Show a report that its reader asked to keep."""
    html = workbench.kept(token)
    if html is None:
        raise NotHere("No report is kept here", "Reports are kept only when asked for. Drop the table again.")
    return _report(html)


def _report(html: str) -> HttpResponse:
    response = HttpResponse(html)
    response.headers["Content-Security-Policy"] = workbench.policy(html)
    return response


def _form(request: HttpRequest, problem: str = "", status: int = 200) -> HttpResponse:
    given = {name: request.POST.get(name, "")[:200] for name in ("law", "loss_unit", "x", "group", "flops")}
    fields = [(name, request.POST.get(f"column_{name}", "")[:200]) for name in COLUMNS]
    context = {
        "problem": problem,
        "laws": LAWS,
        "units": _UNITS,
        "fields": fields,
        "given": given,
        "limit": workbench.LIMIT // 1_000_000,
    }
    return render(request, "pages/scaling.html", context, status=status)


def _words(request: HttpRequest) -> tuple[str, list[str]]:
    """Return the command and its options, each checked: nothing of the form is taken as an option itself."""
    law = request.POST.get("law", "chinchilla")
    if law not in dict(LAWS):
        raise _WrongForm(f"Law must be one of {', '.join(dict(LAWS))}, got {law!r}.")
    unit = request.POST.get("loss_unit", "nats")
    if unit not in _UNITS:
        raise _WrongForm(f"Unit of the loss must be one of {', '.join(_UNITS)}, got {unit!r}.")
    options = [f"--law={law}", f"--loss-unit={unit}"]
    heads = {name: _head(request, f"column_{name}", f"The column of {name}") for name in COLUMNS}
    options += [f"--column={name}={head}" for name, head in heads.items() if head]
    if law in _SINGLE and (x := _head(request, "x", "The one input")):
        options.append(f"--x={x}")
    if group := _head(request, "group", "Rows that belong together"):
        options.append(f"--group={group}")
    if request.POST.get("wandb"):
        options.append("--wandb")
    flops = request.POST.get("flops", "").split()
    for budget in flops[:20]:
        try:
            options.append(f"--flops={float(budget)!r}")
        except ValueError:
            raise _WrongForm(f"Budgets are FLOPs such as 1e21, got {budget[:50]!r}.") from None
    return ("plan" if flops else "fit"), options


def _head(request: HttpRequest, field: str, words: str) -> str:
    head = request.POST.get(field, "").strip()
    if head and not _HEAD.fullmatch(head):
        raise _WrongForm(
            f"{words} must be a column's head of at most 100 characters without comma and =, got {head[:50]!r}."
        )
    return head
