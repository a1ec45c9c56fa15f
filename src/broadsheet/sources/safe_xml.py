"""Reads XML that strangers send: no document type, no entities, bounded in size, element by element."""

from __future__ import annotations

import io
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from broadsheet.sources.http import TryAgain
from broadsheet.sources.record import SourceError
from broadsheet.sources.text import one_line, shorten

__all__ = ["elements", "local_name", "text_of"]

_MOST_ELEMENTS = 1_000_000
_DEEPEST = 50


def elements(body: bytes, names: frozenset[str]) -> Iterator[Element]:
    """Yield the elements of certain names, outermost first come, each emptied when the next is asked for.

    Args:
        body: An XML document.
        names: Local names, without namespace.

    Yields:
        The elements with all they hold. One inside another of these names is yielded first.

    Raises:
        TryAgain: If the document is not well formed: it may have been torn on its way.
        SourceError: If it declares a document type or entities, or is nested or long beyond measure.

    Example:
        >>> [element.text for element in elements(b"<a><b>1</b><c/><b>2</b></a>", frozenset({"b"}))]
        ['1', '2']
    """
    depth = count = 0
    try:
        for event, element in ElementTree.iterparse(
            io.BytesIO(body), events=("start", "end"), forbid_dtd=True
        ):
            if event == "start":
                depth += 1
                count += 1
                if depth > _DEEPEST or count > _MOST_ELEMENTS:
                    raise SourceError(
                        "the answer is XML nested too deeply or with too many elements: not read"
                    )
                continue
            depth -= 1
            if local_name(element) in names:
                yield element
                element.clear()
    except DefusedXmlException as error:
        raise SourceError(
            "the answer declares a document type or entities, which no source does: not read"
        ) from error
    except (
        ParseError,
        ValueError,
        LookupError,
    ) as error:  # the last two: an encoding that does not exist or fit
        raise TryAgain(f"the answer is no well-formed XML ({shorten(str(error))})") from error


def local_name(element: Element) -> str:
    """Return the name of an element without its namespace.

    Args:
        element: An element.

    Returns:
        The local name.

    Example:
        >>> local_name(Element("{http://www.w3.org/2005/Atom}entry"))
        'entry'
    """
    return str(element.tag).rpartition("}")[2]


def text_of(element: Element | None) -> str:
    """Return the text of an element and of all within it, on one line.

    Args:
        element: An element, or None.

    Returns:
        The text; "" if there is none.

    Example:
        >>> text_of(None)
        ''
    """
    return "" if element is None else one_line("".join(element.itertext()))
