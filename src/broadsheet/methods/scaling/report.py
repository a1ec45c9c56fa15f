"""A fit in words, numbers and figures: plain text, or one HTML page that needs no other file."""

from __future__ import annotations

import html
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from broadsheet.methods.scaling import plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from broadsheet.methods.scaling.law import Law

__all__ = ["report"]

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:right}"
    "th:first-child,td:first-child{text-align:left}thead th{border-bottom:1px solid}"
    "figure{margin:1.5rem 0}svg{max-width:100%;height:auto}"
)


def report(law: Law, style: str, *, n_boot: int, level: float) -> str:
    """Return the report of a fitted law: see :meth:`Law.report`."""
    if style not in ("text", "html"):
        raise ValueError(f"style must be 'text' or 'html', got {style!r}")
    parameters = law.confint(level, n_boot=n_boot)
    meanings = {p.name: p.meaning for p in law.parameters_}
    facts = _facts(law, parameters.attrs["failed"], n_boot, level)
    if style == "text":
        shown = parameters.apply(lambda column: column.map("{:.5g}".format))
        shown["meaning"] = [meanings[n] for n in parameters.index]
        parts = [
            f"{type(law).__name__} on {len(law.rows_.y)} runs",
            *facts,
            "",
            shown.to_string(),
            "",
            "correlation of the fitted (transformed) parameters",
            law.correlations_.round(3).to_string(),
        ]
        return "\n".join(parts) + "\n"
    return _page(law, parameters, meanings, facts)


def _facts(law: Law, failed: int, n_boot: int, level: float) -> list[str]:
    spread = float(np.sqrt(np.mean(law.residuals_**2)))
    unit = "relative" if law.space == "log" else f"in the unit of {law.target}"
    facts = [
        f"loss {law.loss}, residuals in {law.space} space"
        + (f", delta {law.delta:g}" if law.loss == "huber" else ""),
        f"objective {law.objective_:.6g}; {law.n_agree_} of {law.n_polished_} polished starts agree"
        + ("" if law.converged_ else "; the search did not meet its tolerance"),
        f"root mean squared residual {spread:.3g} ({unit}); AICc {law.aicc_:.2f}",
        f"{100 * level:g} % intervals from {n_boot} bootstrap refits, of which {failed} failed",
    ]
    facts += [
        f"{name} runs from {np.min(values):.3g} to {np.max(values):.3g}"
        for name, values in law.rows_.x.items()
        if np.issubdtype(np.asarray(values).dtype, np.number)
    ]
    return facts


def _page(law: Law, parameters: pd.DataFrame, meanings: dict[str, str], facts: list[str]) -> str:
    title = f"{type(law).__name__} on {len(law.rows_.y)} runs"
    items = "".join(f"<li>{html.escape(fact)}</li>" for fact in facts)
    rows = "".join(
        f"<tr><th scope='row'>{html.escape(str(name))}</th><td>{row.estimate:.5g}</td><td>{row.lower:.5g}</td>"
        f"<td>{row.upper:.5g}</td><td>{html.escape(meanings[str(name)])}</td></tr>"
        for name, row in zip(parameters.index, parameters.itertuples(), strict=True)
    )
    figures = "".join(
        f"<figure>{_svg(draw, caption)}<figcaption>{html.escape(caption)}</figcaption></figure>"
        for draw, caption in (
            (lambda ax: plots.plot_law(law, ax=ax), "The runs and the law."),
            (lambda ax: plots.plot_residuals(law, ax=ax), "Residuals over the prediction."),
        )
    )
    matrix = law.correlations_.round(3).to_html(border=0)
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{html.escape(title)}</title>"
        f"<style>{_STYLE}</style></head><body><h1>{html.escape(title)}</h1><ul>{items}</ul>"
        "<table><thead><tr><th>parameter</th><th>estimate</th><th>lower</th><th>upper</th><th>meaning</th></tr>"
        f"</thead><tbody>{rows}</tbody></table>{figures}"
        f"<h2>Correlation of the fitted (transformed) parameters</h2>{matrix}</body></html>"
    )


def _svg(draw: Callable[[Axes], object], caption: str) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    draw(figure.add_subplot())
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    label = html.escape(caption, quote=True)
    return text[text.index("<svg") :].replace("<svg", f"<svg role='img' aria-label='{label}'", 1)
