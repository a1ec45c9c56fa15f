"""Laws against each other, on the same runs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from broadsheet.methods.scaling.identification import NotIdentified, ScalingWarning
from broadsheet.methods.scaling.law import Law
from broadsheet.methods.scaling.runs import RunTable

__all__ = ["compare_laws"]


def compare_laws(
    laws: Sequence[Law] | Mapping[str, Law],
    runs: pd.DataFrame | RunTable,
    *,
    by: str | None = None,
    largest: int = 1,
    **settings: Any,
) -> pd.DataFrame:
    """Fit several laws to the same runs and set their criteria side by side.

    Args:
        laws: Laws of the same target, loss, delta and space, fitted or not; by name, or named by their class.
        runs: The runs.
        by: The column that measures scale; if given, each law is also fitted to the small runs alone and judged
            on the ``largest`` values held out.
        largest: How many distinct values of ``by`` are held out.
        **settings: Those of :meth:`Law.fit`.

    Returns:
        One row per law, the lowest AICc first: ``parameters`` (free ones), ``objective``, ``AICc``, ``delta``
        (to the lowest), ``weight`` (of the AICc, summing to 1), ``extrapolation_error`` (mean absolute relative
        error held out; NaN without ``by``) and ``problem`` (why a law could not be fitted, else "").

    Raises:
        ValueError: if there are fewer than two laws, a name occurs twice, or losses or spaces differ (their
            likelihoods cannot be compared).

    Source:
        Burnham and Anderson 2002, Model Selection and Multimodel Inference, section 2.4.

    Example:
        >>> from broadsheet.methods.scaling import PowerLaw
        >>> runs = pd.DataFrame({"N": np.geomspace(1e6, 1e9, 12)})
        >>> runs["loss"] = 1.7 + 40 / runs["N"] ** 0.25 + 0.003 * np.cos(np.arange(12) * 2.0)
        >>> table = compare_laws({"floor": PowerLaw(), "no floor": PowerLaw(offset=False)}, runs, by="N")
        >>> table.index[0]
        'floor'
    """
    named = dict(laws) if isinstance(laws, Mapping) else {}
    if not named:
        for law in laws:
            if not isinstance(law, Law):
                raise TypeError(f"laws must be laws such as Chinchilla(), got {law!r}")
            if type(law).__name__ in named:
                raise ValueError(
                    f"two laws are named {type(law).__name__!r}: give a mapping of names to laws"
                )
            named[type(law).__name__] = law
    if len(named) < 2:
        raise ValueError(f"laws must hold at least two laws, got {len(named)}")
    for setting in ("target", "loss", "space", "delta"):
        values = {
            getattr(law, setting) for law in named.values() if setting != "delta" or law.loss == "huber"
        }
        if len(values) > 1:
            shown = ", ".join(sorted(map(str, values)))
            raise ValueError(f"laws must have the same {setting}, got {shown}: criteria cannot be compared")
    rows = {name: _row(law, runs, by, largest, settings) for name, law in named.items()}
    table = pd.DataFrame.from_dict(rows, orient="index").sort_values("AICc", kind="stable")
    lowest = float(table["AICc"].min())
    table.insert(3, "delta", table["AICc"] - lowest if math.isfinite(lowest) else np.nan)
    weight = np.exp(-0.5 * table["delta"])
    table.insert(4, "weight", weight / weight.sum())
    table.index.name = "law"
    return table


def _row(
    law: Law, runs: pd.DataFrame | RunTable, by: str | None, largest: int, settings: dict[str, Any]
) -> dict[str, Any]:
    fitted = law._unfitted()
    error, problem = math.nan, ""
    with warnings.catch_warnings():
        # A law that does not suit the table is what the comparison is for: the sentence goes into it.
        warnings.simplefilter("ignore", ScalingWarning)
        try:
            fitted.fit(runs, **settings)
        except NotIdentified as reason:
            nothing = {"parameters": math.nan, "objective": math.nan, "AICc": math.inf}
            return {**nothing, "extrapolation_error": math.nan, "problem": str(reason)}
        if by is not None:
            try:
                held = law.cross_validate(runs, by=by, largest=largest, **settings)
                error = held.attrs["mean_absolute_error"]
            except NotIdentified as reason:
                problem = f"held out by {by}: {reason}"
    return {
        "parameters": int(fitted._free().sum()),
        "objective": fitted.objective_,
        "AICc": fitted.aicc_,
        "extrapolation_error": error,
        "problem": problem,
    }
