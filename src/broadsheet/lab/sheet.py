"""A report of one's own: words, tables and figures as one HTML file in the house style."""

from __future__ import annotations

import datetime as dt
import math
import tempfile
from collections.abc import Callable, Iterable, Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broadsheet.lab import figures
from broadsheet.lab.numbers import number
from broadsheet.lab.report_html import document, figure, folded_table, svg_uri, table
from broadsheet.lab.store import write_atomically

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Sheet", "in_words"]

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MOST_ROWS = 200  # of a table; a sheet is for reading


class Sheet:
    """Collects the parts of a report in their order. Whatever is given as text is escaped.

    Args:
        title: Its title.
        lead: One sentence below the title.

    Example:
        >>> sheet = Sheet("Two runs", "A made-up table.")
        >>> sheet.facts({"loss": "huber"})
        >>> "<dt>loss</dt>" in sheet.html()
        True
    """

    def __init__(self, title: str, lead: str = "") -> None:
        self.title = title
        today = dt.datetime.now(dt.UTC)
        day = f'<time datetime="{today:%Y-%m-%d}">{today.day} {today:%B %Y}</time>'
        self._head = f'<header class="masthead"><h1>Broadsheet</h1><p>{day}</p></header>'
        self._parts = [f'<section class="paper"><h2>{escape(title)}</h2>']
        if lead:
            self._parts.append(f"<p>{escape(lead)}</p>")

    def heading(self, text: str) -> None:
        """Begin a part."""
        self._parts.append(f'<div class="claim"><h3>{escape(text)}</h3></div>')

    def text(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(f'<p class="reason">{escape(text)}</p>')

    def warn(self, texts: Iterable[str]) -> None:
        """Add warnings, each a paragraph that stands out."""
        self._parts += [f'<p class="problem">{escape(text)}</p>' for text in texts]

    def facts(self, pairs: Mapping[str, str]) -> None:
        """Add names with what they are."""
        listed = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in pairs.items())
        self._parts.append(f'<dl class="facts">{listed}</dl>')

    def table(self, frame: pd.DataFrame, caption: str) -> None:
        """Add a table; its index is shown where it has a name or is not a plain count."""
        self._parts.append(table(*_cells(frame), caption))

    def figure(
        self,
        draw: Callable[[Figure], None],
        caption: str,
        *,
        frame: pd.DataFrame | None = None,
        size: tuple[float, float] = (7.0, 4.0),
    ) -> None:
        """Add a figure, light and dark.

        Args:
            draw: Draws on an empty figure; called once for each style.
            caption: One sentence.
            frame: The same data as a table, one click away.
            size: Width and height in inches.
        """
        with tempfile.TemporaryDirectory() as folder:
            files = figures.save(draw, Path(folder), "figure", size=size)
            light, dark = (svg_uri(Path(folder, files[f"{style}.svg"])) for style in ("light", "dark"))
        below = ""
        if frame is not None:
            heads, rows = _cells(frame.head(_MOST_ROWS))
            below = folded_table(heads, rows, "The same data as a table", len(frame))
        self._parts.append(figure(light, dark, caption, below))

    def html(self) -> str:
        """Return the whole document."""
        return document(self.title, [self._head, "<main>", *self._parts, "</section></main>"])

    def save(self, path: Path) -> None:
        """Write the document: the whole file or, if that fails, none.

        Raises:
            OSError: if the file cannot be written.
        """
        write_atomically(path, self.html())


def _cells(frame: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    import pandas as pd

    if not (isinstance(frame.index, pd.RangeIndex) and frame.index.name is None):
        frame = frame.reset_index()
    return [str(c) for c in frame.columns], [[_cell(v) for v in row] for row in frame.to_numpy(dtype=object)]


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return str(value) if value == 0 or 1e-4 <= abs(value) < 1e6 else in_words(value)


def in_words(value: float) -> str:
    r"""Return a number with a power of ten where nobody would count the digits.

    Example:
        >>> in_words(1.5e21), in_words(0.3478), in_words(-2e-12)
        ('1.5\xa0×\xa010²¹', '0.3478', '−2\xa0×\xa010⁻¹²')
    """
    if value == 0 or not math.isfinite(value) or 1e-4 <= abs(value) < 1e6:
        return number(value)
    mantissa, _, power = f"{value:.3g}".partition("e") if abs(value) < 1e6 else f"{value:.2e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}\u00a0×\u00a010{str(int(power)).translate(_RAISED)}".replace("-", "−")
