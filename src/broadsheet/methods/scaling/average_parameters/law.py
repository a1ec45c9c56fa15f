"""The Chinchilla law with the mean parameter count over training in the place of the parameter count."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from broadsheet.methods.scaling.average_parameters.schedule import Unit, continuous_schedule
from broadsheet.methods.scaling.chinchilla import Chinchilla

__all__ = ["AverageParameters"]


class AverageParameters(Chinchilla):
    """``L(N, D) = E + A / N**alpha + B / D**beta`` with N the mean number of live parameters over training.

    A dense run's mean is its parameter count, so dense and sparse runs stand in one table and share five constants.
    Count the prunable weights (those of the linear layers) in all of them alike. If all runs saw the same number of
    tokens, hold ``B`` and ``beta`` with ``fixed``, or fit :class:`PowerLaw` to the mean counts instead.

    Args:
        loss: See :class:`Law`.
        delta: See :class:`Law`.
        space: See :class:`Law`.
        fixed: See :class:`Law`.
        grid: See :class:`Law`.
        random_state: See :class:`Law`.

    Source:
        Section 4 of the paper; the fit is that of Hoffmann et al. 2022 (arXiv:2203.15556).

    Example:
        >>> D, N0, s = (a.ravel() for a in np.meshgrid([1e9, 4e9, 2e10], [1e7, 1e8, 1e9], [0.0, 0.5, 0.8]))
        >>> N = N0 * [continuous_schedule(one)[2] for one in s]
        >>> runs = pd.DataFrame({"N": N, "D": D, "loss": 1.8 + 480 / N**0.35 + 2100 / D**0.37, "sparsity": s})
        >>> law = AverageParameters().fit(runs)
        >>> law.equal_compute(N=1e8, D=2e9, sparsity=[0.0, 0.5, 0.8]).round(3).to_dict("list")["loss"]
        [3.321, 3.321, 3.321]
    """

    def equal_compute(
        self,
        N: float,
        D: float,
        sparsity: Iterable[float],
        start: float = 0.25,
        end: float = 0.75,
        unit: Unit = "compute",
    ) -> pd.DataFrame:
        """Return the sparse trainings that cost the same, and by the law lose the same, as a dense one.

        Args:
            N: Prunable parameters of the dense model, > 0.
            D: Tokens of the training, > 0.
            sparsity: Final sparsities, each in [0, 1).
            start: Share of the training before pruning begins, in [0, 1).
            end: Share of the training after which nothing more is removed, in (start, 1].
            unit: What the shares are shares of: training compute or steps.

        Returns:
            One row per sparsity: ``sparsity``, ``initial`` and ``final`` parameters, ``average`` (their mean over
            training, N in all rows), ``tokens``, ``compute`` (FLOPs, ``6 N D``) and ``loss``.

        Raises:
            NotFittedError: before ``fit``.
            ValueError: if an argument is out of range.
        """
        for name, value in (("N", N), ("D", D)):
            if not (np.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a finite number > 0, got {value!r}")
        loss = float(self.predict(N=[N], D=[D])[0])
        rows = []
        for one in sparsity:
            initial = N / continuous_schedule(one, start, end, unit)[2]
            rows.append(
                {
                    "sparsity": one,
                    "initial": initial,
                    "average": N,
                    "final": initial * (1.0 - one),
                    "tokens": D,
                    "compute": 6.0 * N * D,
                    "loss": loss,
                }
            )
        return pd.DataFrame(rows)
