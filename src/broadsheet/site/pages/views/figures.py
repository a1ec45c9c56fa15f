"""Files of results: only what a result of that paper names, and only from its folder."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from django.db.models import Q
from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase
from django.utils.http import http_date
from django.views.decorators.http import require_safe

from broadsheet.site.pages import measurements
from broadsheet.site.papers.models import Paper

__all__ = ["file"]

_TYPES = {".svg": "image/svg+xml", ".png": "image/png", ".csv": "text/csv; charset=utf-8"}
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_FOR_EVER = "public, max-age=31536000, immutable"
# A drawing has styles of its own; opened by itself it must not run anything.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


@require_safe
def file(request: HttpRequest, key: str, claim: str, result: str, file: str) -> HttpResponseBase:
    """Serve a figure or a table of a result."""
    absent = Http404("No result of this paper has such a file.")
    kind = _TYPES.get(PurePosixPath(file).suffix)
    if kind is None or not _PLAIN_NAME.fullmatch(file) or len(key) > 200 or "\0" in key:
        raise absent
    paper = Paper.objects.filter(Q(arxiv_id=key) | Q(slug=key)).order_by("arxiv_id").last()
    view = measurements.paper_view(paper.method) if paper and paper.method else None
    claim_view = next((c for c in view.claims if c.claim.id == claim), None) if view else None
    found = claim_view.result(result) if claim_view else None
    if found is None or found.folder is None or file not in measurements.named_files(found):
        raise absent
    path = found.path(file)
    # A symbolic link in a results folder must not lead out of it.
    if not path.is_file() or path.resolve().parent != found.folder.resolve():
        raise absent
    # A measurement never changes; our reference does, under the same name, and its address then says when.
    fixed = result != "reference" or "v" in request.GET
    return FileResponse(
        path.open("rb"),
        content_type=kind,
        headers={
            "Cache-Control": _FOR_EVER if fixed else "no-cache",
            "Last-Modified": http_date(path.stat().st_mtime),
            "Content-Security-Policy": _POLICY,
        },
    )
