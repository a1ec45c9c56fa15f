"""Draws figures in the house style: light and dark, SVG and PNG, the same bytes each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LIMIT", "STYLES", "save"]

STYLES = {
    "light": Path(__file__).with_name("broadsheet.mplstyle"),
    "dark": Path(__file__).with_name("broadsheet-dark.mplstyle"),
}
LIMIT = 200_000
"""Bytes of a figure's file beyond which its crowded parts are drawn as pixels."""
_CROWDED = 500  # points of a line or collection


def save(
    draw: Callable[[Figure], None], folder: Path, name: str, *, size: tuple[float, float] = (7.0, 4.0)
) -> dict[str, str]:
    """Draw a figure in both styles and save it as SVG with transparent ground and as PNG.

    Letters are saved as outlines, so that a figure looks the same where no font is installed. An SVG larger
    than :data:`LIMIT` is saved once more with its crowded lines and points as pixels.

    Args:
        draw: Draws on an empty figure; called once for each style.
        folder: An existing folder.
        name: File name without ending.
        size: Width and height in inches, each in (0, 40].

    Returns:
        File names by ``light.svg``, ``dark.svg``, ``light.png`` and ``dark.png``.

    Raises:
        ValueError: if ``size`` is out of range or the figure stays empty.
    """
    if not all(0 < side <= 40 for side in size):
        raise ValueError(f"size must be two numbers of inches in (0, 40], got {size!r}")
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    files: dict[str, str] = {}
    for style, path in STYLES.items():
        # A user's own matplotlibrc must not change the figures of a paper.
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(mpl.rc_params_from_file(path, use_default_template=False))
            figure = Figure(figsize=size, layout="constrained")
            FigureCanvasAgg(figure)
            draw(figure)
            if not figure.axes and not figure.texts:
                raise ValueError(f"figure {name!r} is empty: its function drew nothing")
            for ending in ("svg", "png"):
                files[f"{style}.{ending}"] = f"{name}.{style}.{ending}"
            svg = folder / files[f"{style}.svg"]
            _save_svg(figure, svg)
            if svg.stat().st_size > LIMIT and _thin_out(figure):
                _save_svg(figure, svg)
            figure.savefig(folder / files[f"{style}.png"], metadata={"Software": None})
    return files


def _save_svg(figure: Figure, path: Path) -> None:
    nothing: dict[str, Any] = {
        "Date": None,
        "Creator": None,
    }  # neither time nor version: the same bytes each time
    figure.savefig(path, transparent=True, metadata=nothing)


def _thin_out(figure: Figure) -> bool:
    """Have crowded lines and collections drawn as pixels; tell whether there are any."""
    import numpy as np
    from matplotlib.collections import Collection
    from matplotlib.lines import Line2D

    found = False
    for axes in figure.axes:
        for artist in axes.get_children():
            if isinstance(artist, Line2D):
                count = np.asarray(artist.get_xydata()).shape[0]
            elif isinstance(artist, Collection):
                count = np.asarray(artist.get_offsets()).shape[0]
                count += sum(np.asarray(path.vertices).shape[0] for path in artist.get_paths())
            else:
                continue
            if count > _CROWDED:
                artist.set_rasterized(True)
                found = True
    return found
