"""The critical batch size, from runs of one model at several batch sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from broadsheet.methods.scaling.identification import NotIdentified
from broadsheet.methods.scaling.objective import Floats

__all__ = ["CriticalBatchSize", "steps_at_losses"]


def steps_at_losses(curves: pd.DataFrame, losses: Any) -> pd.DataFrame:
    """Read off training curves at which step each falls to given losses.

    Args:
        curves: Points with ``B`` (tokens per step), ``S`` (steps, > 0) and ``loss``, one curve per B.
        losses: Losses to read at.

    Returns:
        One row per curve and loss that it reaches: ``B``, ``loss``, ``S`` (by a straight line in logarithms between
        the two neighbouring points of the lowest loss so far).

    Example:
        >>> curve = pd.DataFrame({"B": 1e5, "S": [100, 200, 400], "loss": [4.0, 3.0, 2.0]})
        >>> steps_at_losses(curve, [3.0])["S"].round().tolist()
        [200.0]
    """
    rows = []
    for _, curve in curves.groupby("B"):
        ordered = curve.sort_values("S")
        # Noise makes a curve rise here and there: what counts is when a loss is reached first.
        lowest = np.minimum.accumulate(ordered["loss"].to_numpy(float))
        steps = ordered["S"].to_numpy(float)
        for loss in np.atleast_1d(np.asarray(losses, float)):
            if not lowest[-1] <= loss < lowest[0]:
                continue
            at = int(np.argmax(lowest <= loss))
            (a, b), (la, lb) = np.log(steps[at - 1 : at + 1]), np.log(lowest[at - 1 : at + 1])
            share = (np.log(loss) - la) / (lb - la)
            rows.append(
                {
                    "B": float(ordered["B"].iloc[0]),
                    "loss": float(loss),
                    "S": float(np.exp(a + share * (b - a))),
                }
            )
    return pd.DataFrame(rows, columns=["B", "loss", "S"])


class CriticalBatchSize(BaseEstimator):  # type: ignore[misc]
    """Steps and tokens to a loss over the batch size: a hyperbola, and its bend over the loss.

    At a fixed loss ``(S / S_min - 1) (E / E_min - 1) = 1`` with ``E = B S`` tokens, which is
    ``S = S_min (1 + B_crit / B)``: a straight line in 1 / B. Its two coefficients follow from least squares of relative
    errors. Over losses, ``B_crit = B_star / L**(1 / alpha_B)``.

    Attributes:
        levels_: One row per loss: ``S_min``, ``E_min``, ``B_crit`` (tokens; 0 where more batch never costs tokens,
            infinite where it never saves steps), ``batches`` and ``r2`` (of ln S).
        B_star_: Critical batch at a loss of 1 nat, tokens; NaN with fewer than two usable losses.
        alpha_B_: Exponent; NaN likewise.

    Source:
        McCandlish et al. 2018 (arXiv:1812.06162), equation 2.11; Kaplan et al. 2020, equations 5.1 to 5.3.

    Example:
        >>> B = np.array([1e4, 1e5, 1e6])
        >>> runs = pd.DataFrame({"B": B, "loss": 3.0, "S": 500 * (1 + 2e5 / B)})
        >>> CriticalBatchSize().fit(runs).levels_["B_crit"].round().tolist()
        [200000.0]
    """

    def fit(
        self, runs: pd.DataFrame, y: Any = None, *, columns: Mapping[str, str] | None = None
    ) -> CriticalBatchSize:
        """Fit a hyperbola at each loss, and a line through their critical batches.

        Args:
            runs: Rows with ``B`` (tokens per step), ``loss`` and ``S`` (steps to that loss): see
                :func:`steps_at_losses`.
            y: Ignored.
            columns: Where columns stand.

        Returns:
            Itself.

        Raises:
            ValueError: naming the column and row of what is wrong.
            NotIdentified: if no loss was reached at two batch sizes or more.
        """
        frame = runs.rename(columns={old: new for new, old in (columns or {}).items()})
        for name in ("B", "loss", "S"):
            if name not in frame:
                raise ValueError(
                    f"column {name!r} is not in the table; it has {', '.join(map(repr, frame.columns))}"
                )
            values = frame[name].to_numpy(float)
            bad = ~(np.isfinite(values) & (values > 0))
            if bad.any():
                at = int(np.argmax(bad))
                raise ValueError(
                    f"column {name!r}: must be > 0, got {values[at]:g} in row {frame.index[at]!r}"
                )
        rows = [_hyperbola(level) for _, level in frame.groupby("loss") if level["B"].nunique() > 1]
        if not rows:
            raise NotIdentified(
                "column 'B' has one distinct value at every loss: B_star, alpha_B cannot be identified; add runs at "
                "other batch sizes"
            )
        self.levels_ = pd.DataFrame(rows).sort_values("loss", ascending=False, ignore_index=True)
        usable = self.levels_[np.isfinite(self.levels_["B_crit"]) & (self.levels_["B_crit"] > 0)]
        self.B_star_, self.alpha_B_ = np.nan, np.nan
        if len(usable) > 1:
            slope, start = np.polyfit(np.log(usable["loss"]), np.log(usable["B_crit"]), 1)
            self.B_star_ = float(np.exp(start))
            self.alpha_B_ = float(-1.0 / slope) if slope else np.inf
        return self

    def predict(self, loss: Any) -> Floats:
        """Return the critical batch at a loss, tokens."""
        check_is_fitted(self, "levels_")
        found: Floats = self.B_star_ * np.asarray(loss, float) ** (-1.0 / self.alpha_B_)
        return found


def _hyperbola(level: pd.DataFrame) -> dict[str, float]:
    from scipy.optimize import nnls

    batch, steps = level["B"].to_numpy(float), level["S"].to_numpy(float)
    unit = float(np.exp(np.log(batch).mean()))
    design = np.stack(
        [1.0 / steps, unit / batch / steps], axis=1
    )  # relative errors: each row divided by its S
    (least, product), _ = nnls(design, np.ones(len(steps)))
    fitted = least + product * unit / batch
    total = float(((np.log(steps) - np.log(steps).mean()) ** 2).sum())
    left = float(((np.log(steps) - np.log(fitted)) ** 2).sum())
    return {
        "loss": float(level["loss"].iloc[0]),
        "S_min": float(least),
        "E_min": float(product * unit),
        "B_crit": float(product * unit / least) if least > 0 else np.inf,
        "batches": len(np.unique(batch)),
        "r2": 1.0 - left / total if total > 0 else np.nan,
    }
