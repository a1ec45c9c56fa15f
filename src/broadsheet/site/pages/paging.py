"""Pages of a list: ``?page=2``, with everything else in the address kept."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import Http404, HttpRequest

__all__ = ["Pages", "page_number"]

_MOST = 100_000


@dataclass(frozen=True)
class Pages:
    """Where a page stands in its list.

    Args:
        number: Number of this page, from 1.
        count: Number of pages, >= 1.
        query: The address's other parameters, encoded.
        is_open: Whether the list goes on beyond what was counted.
    """

    number: int
    count: int
    query: str = ""
    is_open: bool = False

    @classmethod
    def of(cls, request: HttpRequest, total: int, size: int) -> Pages:
        """Return the place of the page that a request asks for.

        Raises:
            Http404: if the list is not that long.
        """
        number = page_number(request)
        count = max(1, -(-total // size))
        if number > count:
            raise Http404(f"The list has {count} pages; there is no page {number}.")
        return cls(number, count, _others(request))

    @classmethod
    def open(cls, request: HttpRequest, *, has_next: bool) -> Pages:
        """Return the place of a page in a list whose length is not known."""
        number = page_number(request)
        return cls(number, number + 1 if has_next else number, _others(request), is_open=True)

    @property
    def previous(self) -> str:
        """The address of the page before, or ""."""
        return self._address(self.number - 1) if self.number > 1 else ""

    @property
    def next(self) -> str:
        """The address of the page after, or ""."""
        return self._address(self.number + 1) if self.number < self.count else ""

    def _address(self, number: int) -> str:
        parts = [self.query] if self.query else []
        # The first page has one address only.
        parts += [f"page={number}"] if number > 1 else []
        return "?" + "&".join(parts)


def _others(request: HttpRequest) -> str:
    others = request.GET.copy()
    others.pop("page", None)
    return others.urlencode()


def page_number(request: HttpRequest) -> int:
    """Return the number of the page that a request asks for.

    Raises:
        Http404: if it is not a whole number from 1.
    """
    text = request.GET.get("page", "1")
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _MOST):
        raise Http404("A page is asked for by its number, from 1: ?page=2.")
    return int(text)
