"""A fit in words and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from broadsheet.methods.scaling.law import Law

__all__ = ["report"]


def report(law: Law, *, n_boot: int, level: float) -> str:
    """Return the report of a fitted law: see :meth:`Law.report`."""
    parameters = law.confint(level, n_boot=n_boot)
    meanings = {p.name: p.meaning for p in law.parameters_}
    facts = _facts(law, parameters.attrs["failed"], n_boot, level)
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
