"""The joint law of several tasks in one model: weights change a factor, not exponent nor irreducible loss."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from broadsheet.methods.scaling.fitting import minimise
from broadsheet.methods.scaling.identification import NotIdentified, ScalingWarning
from broadsheet.methods.scaling.law import Law, Parameter
from broadsheet.methods.scaling.multilingual_nmt_scaling import cells, starts, trade_off
from broadsheet.methods.scaling.multilingual_nmt_scaling.cells import Cells, FractionForm
from broadsheet.methods.scaling.multilingual_nmt_scaling.parameter_counts import embedding_inclusive
from broadsheet.methods.scaling.multilingual_nmt_scaling.shared_exponent import (
    SharedExponentTest,
    test_shared_exponent,
)
from broadsheet.methods.scaling.objective import Floats, LossName, Space
from broadsheet.methods.scaling.reading import Rows
from broadsheet.methods.scaling.runs import LossUnit, RunTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MixtureScaling"]

_SHARES = ("alpha", "L_inf")
_SAME = 1e-3  # starts whose log losses differ by less have found the same law


class MixtureScaling(Law):
    """``L_i(N; p) = beta_i (f_i(p) N)^-alpha_i + L_inf_i``: each task's loss by model size and sampling weight.

    The table has one row per run and task: ``task``, ``N`` (parameters without embeddings), ``p`` (the task's
    probability to be sampled, by examples) and ``loss``. The effective fraction ``f_i(p)`` says how much of the model
    works for task i: the run has the loss of a model of ``f N`` parameters trained on that task alone.

    Args:
        f: ``"free"``: a factor ``beta[task, p]`` for each weight that occurs, and
            ``f = (beta[task, 1] / beta[task, p])^(1 / alpha)``. ``"power"``: ``f = p + c1 p^c2 (1 - p)^c3`` with
            0 < c2, c3 < 3, for any weight. ``"linear"``: ``f = p + c1 (1 - p)`` with c1 > 0, so that
            f(0) = c1 is not 0.
            f(1) = 1 in all three.
        share: What a task's rows have in common over weights: ``("alpha", "L_inf")``, one of them or neither. Less
            than both only with ``f="free"``.
        common_f: One function f for all tasks, where weights are few; not with ``f="free"``.
        loss: See :class:`Law`.
        delta: See :class:`Law`.
        space: See :class:`Law`.
        fixed: See :class:`Law`.
        grid: See :class:`Law`.
        random_state: See :class:`Law`.

    Attributes:
        tasks_: Names of the tasks.
        at_bounds_: Names of parameters that ended at a bound: c2 and c3 at 0 or 3 (at c2 = 0 the data ask for f(0)
            above 0), irreducible losses at 0.
        n_agree_: Of the polished starts, how many found the same law to within 0.1 % of every loss; the smallest such
            number over tasks, which are searched apart.
        n_excluded_: Rows with p = 0 that were left out (zero-shot: the law says nothing of them).

    Source:
        The joint law and the effective fraction; section on the scaling of multi-task models.

    Example:
        >>> N, p = (a.ravel() for a in np.meshgrid([2e7, 6e7, 2e8, 6e8], [0.1, 0.3, 0.5, 0.7, 0.9]))
        >>> de = pd.DataFrame({"task": "de", "N": N, "p": p, "loss": 1.2 + 90 * (p * N) ** -0.3})
        >>> zh = pd.DataFrame({"task": "zh", "N": N, "p": 1 - p, "loss": 1.5 + 80 * ((1 - p) * N) ** -0.25})
        >>> law = MixtureScaling(f="power").fit(pd.concat([de, zh], ignore_index=True))
        >>> law.effective_fraction("de", [0.3, 1.0]).round(3).tolist()
        [0.3, 1.0]
        >>> round(law.params_["alpha[zh]"], 3)
        0.25
    """

    inputs = ("N", "p")
    labels = ("task",)
    domains = {"p": (0.0, 1.0)}  # noqa: RUF012 (a constant of the class, as in the base)

    def __init__(
        self,
        f: FractionForm = "power",
        share: Sequence[str] = _SHARES,
        common_f: bool = False,
        loss: LossName = "huber",
        delta: float = 1e-3,
        space: Space = "log",
        fixed: Mapping[str, float] | None = None,
        grid: Mapping[str, Sequence[float]] | None = None,
        random_state: int = 0,
    ) -> None:
        super().__init__(loss, delta, space, fixed, grid, random_state)
        self.f = f
        self.share = share
        self.common_f = common_f

    # ---- fitting

    def fit(
        self,
        runs: pd.DataFrame | RunTable,
        y: Any = None,
        *,
        columns: Mapping[str, Hashable] | None = None,
        weights: Any = None,
        loss_unit: LossUnit = "nats",
        **settings: Any,
    ) -> MixtureScaling:
        """Fit the law to all tasks at once.

        Args:
            runs: One row per run and task: ``task``, ``N``, ``p``, ``loss``. Where a column ``run`` tells which rows
                come from one model, the weights of each run must sum to 1.
            y: (n,) loss, if it does not stand in the table. For ChrF give 1 - ChrF / 100.
            columns: Where the columns stand: ``{"N": "non-embedding parameters"}``.
            weights: Column name, or (n,) weights of the rows.
            loss_unit: Unit of the loss.
            **settings: Further settings of :meth:`Law.fit`, as they are.

        Returns:
            The law itself.

        Raises:
            ValueError: naming column, row and value of what is wrong; if a task has fewer than 3 sizes; or if
                the weights at one N do not sum to 1.
            NotIdentified: if the table cannot tell some parameters.

        Warns:
            ScalingWarning: with the number of rows of p = 0, which are left out; or if N seems to count embeddings.
        """
        frame, kept = cells.without_zero_shot(runs, columns)
        if not kept.all():
            y = None if y is None else np.asarray(y)[kept]
            weights = weights if weights is None or isinstance(weights, str) else np.asarray(weights)[kept]
        super().fit(
            frame,
            y,
            columns=columns,
            weights=weights,
            loss_unit=loss_unit,
            **settings,
        )
        self.n_excluded_ = int((~kept).sum())
        return self

    def _check_settings(self) -> None:
        super()._check_settings()
        if self.f not in ("free", "power", "linear"):
            raise ValueError(f"f must be 'free', 'power' or 'linear', got {self.f!r}")
        given = (self.share,) if isinstance(self.share, str) else tuple(self.share)
        for name in given:
            if name not in _SHARES:
                raise ValueError(f"share may hold 'alpha' and 'L_inf', got {name!r}")
        if self.f != "free" and set(given) != set(_SHARES):
            raise ValueError(
                f"share must be {_SHARES!r} with f={self.f!r}: a fraction of the parameters means something only "
                f"where exponent and irreducible loss do not depend on p; got {given!r}. Use f='free'"
            )
        if self.f == "free" and self.common_f:
            raise ValueError("common_f=True needs f='power' or 'linear', got f='free'")

    def _adopt(self, rows: Rows) -> None:
        cells.refuse_few_sizes(rows.x)
        cells.refuse_wrong_sums(rows.frame, rows.x)
        if self.f == "power" and not self.fixed:
            cells.refuse_few_weights(rows.x, self.common_f)
        if vocabulary := embedding_inclusive(rows.x["N"]):
            warnings.warn(
                f"N counts embeddings: these are T5 totals with two embedding matrices of {vocabulary:,} tokens; the "
                "law is one of parameters without embeddings: see t5_nonembedding_parameters",
                ScalingWarning,
                stacklevel=4,
            )
        super()._adopt(rows)

    def _parameters(self, x: Mapping[str, Any]) -> tuple[Parameter, ...]:
        if "task" not in x:
            raise ValueError(
                "a MixtureScaling has the parameters of the tasks and weights of its runs: fit it, or read a record "
                "that holds them, to_dict(runs=True)"
            )
        self.cells_ = Cells.of(x, self.f, self.share, self.common_f)
        self.tasks_ = self.cells_.tasks
        return self.cells_.parameters

    def _governs(self) -> Mapping[str, tuple[str, ...]]:
        return {"N": tuple(p.name for p in self.parameters_ if p.name.startswith("alpha"))}

    def _log_predict(self, theta: Floats, x: Mapping[str, Any]) -> Floats:
        return self.cells_.log_predict(theta, x)

    def _log_predict_jacobian(self, theta: Floats, x: Mapping[str, Any]) -> tuple[Floats, Floats]:
        return self.cells_.jacobian(theta, x)

    def _log_predict_curvature(self, theta: Floats, x: Mapping[str, Any], u: Floats) -> Floats:
        return self.cells_.curvature(theta, x, u)

    def _starts(self, x: Mapping[str, Any], y: Floats) -> Floats:
        return starts.grid(self.cells_, x, y)

    def _transformed(self, name: str, values: Any) -> Floats:
        if name.startswith(("c2", "c3")):
            return cells.unbounded(values)
        return super()._transformed(name, values)

    def _natural(self, theta: Floats) -> Floats:
        shape = np.array([name.startswith(("c2", "c3")) for name in self.names_])
        return np.where(shape, cells.bounded(np.where(shape, theta, 0.0)), super()._natural(theta))

    def _settle(self, free: np.ndarray) -> None:
        """Put together what each task, or each separate law, found best: they do not interact."""
        blocks = self.cells_.blocks(self.rows_.x)
        objective = self._objective()
        theta: Floats = np.empty(len(self.names_))
        losses = objective._rho(objective.residuals(self.polished_.theta))
        if self.rows_.weights is not None:
            losses = losses * self.rows_.weights
        predicted = self._log_predict(self.polished_.theta, self.rows_.x)
        agree = []
        for rows, columns in blocks:
            sums = losses[:, rows].sum(axis=1)
            best = int(np.nanargmin(sums))
            theta[columns] = self.polished_.theta[best][columns]
            # A neutral task has many shapes of a synergy of nothing: what predicts the same is the same.
            same = np.abs(predicted[:, rows] - predicted[best, rows]).max(axis=1) < _SAME
            agree.append(int((same | (sums <= sums[best] * (1.0 + 1e-6))).sum()))
        final = minimise(objective, theta[None], free=free)
        self.theta_, self.objective_ = final.theta[0], float(final.value[0])
        self.converged_, self.n_agree_ = bool(final.converged[0]), min(agree)
        self.params_ = dict(zip(self.names_, map(float, self._natural(self.theta_)), strict=True))

    def _openness(self, covariance: Floats) -> Floats:
        # beta is the loss that a model of one parameter would have: far outside of any table.
        scale = [name.startswith("beta") for name in self.names_]
        return np.where(scale, 0.0, super()._openness(covariance))

    def _judge(self, free: np.ndarray, *settings: Any) -> None:
        self._settle(free)
        self.residuals_ = self._objective().residuals(self.theta_[None])[0]
        self.at_bounds_ = self.cells_.at_bounds(self.theta_, self.rows_.y)
        # Without synergy f is p: then c1, c2 and c3 say nothing, one by one, and do no harm.
        neutral = self.cells_.neutral_shapes(self.theta_, self.rows_.x)
        mask = free & ~np.isin(self.names_, self.at_bounds_)
        mask[neutral] = False
        super()._judge(mask, *settings)

    # ---- what it tells

    def effective_fraction(self, task: Hashable, p: Any) -> Floats:
        """Return f(p): which part of the model's parameters works for a task.

        Args:
            task: The task.
            p: Weights in (0, 1], any shape; with ``f="free"`` those of the fit.

        Returns:
            Fractions, of the shape of ``p``; 1 at p = 1. They do not depend on N.

        Raises:
            NotFittedError: before ``fit``.
            ValueError: if the task is unknown or p out of range.
            NotIdentified: with ``f="free"``, if the table has no run of the task alone (p = 1).

        Source:
            N_eff / N = (beta_1 / beta_p)^(1 / alpha).
        """
        check_is_fitted(self, "theta_")
        wanted = np.asarray(p, float)
        cells.refuse_task(task, self.tasks_)
        wrong = wanted[~((wanted > 0) & (wanted <= 1))]
        if wrong.size:
            raise ValueError(f"p must be in (0, 1], got {float(wrong.flat[0]):g}")
        if self.f == "free" and set(self.share) != set(_SHARES):
            raise NotIdentified(
                "an effective fraction needs exponent and irreducible loss that do not depend on p: fit with "
                "share=('alpha', 'L_inf')"
            )
        if self.f == "free" and not self.cells_.has(task, 1.0):
            raise NotIdentified(
                f"task {task!r} has no run alone (p = 1): with f='free' its fractions are known up to a constant "
                "only. Add such runs, or use f='power'"
            )
        return np.asarray(self.cells_.fraction(self.theta_, task, wanted))

    def effective_parameters(self, task: Hashable, N: Any, p: Any) -> Floats:
        """Return the size of the single-task model with the same loss, ``f(p) N``.

        Args:
            task: The task.
            N: Parameters of the multi-task model, > 0.
            p: Weights in (0, 1].

        Returns:
            Numbers of parameters, in the common shape of N and p.

        Raises:
            NotFittedError: before ``fit``.
            ValueError: if N or p is out of range.
        """
        sizes = np.asarray(N, float)
        if not (np.isfinite(sizes) & (sizes > 0)).all():
            raise ValueError(f"N must be finite and > 0, got {N!r}")
        return np.asarray(self.effective_fraction(task, p) * sizes)

    def frontier(
        self, N: float, tasks: Sequence[Hashable] | None = None, n: int = 101, total: float = 1.0
    ) -> pd.DataFrame:
        """Return the curve of losses of two tasks as their weights are traded.

        Args:
            N: Parameters of the model, > 0.
            tasks: Two tasks; by default the two of the fit.
            n: Points of the curve, at least 2; with ``f="free"`` the weights of the fit instead.
            total: Weight that the two share, in (0, 1]; the rest belongs to other tasks.

        Returns:
            A frame with the weights ``p_TASK`` and the losses ``TASK``, by the first task's weight.

        Raises:
            NotFittedError: before ``fit``.
            ValueError: naming the argument.
        """
        check_is_fitted(self, "theta_")
        return trade_off.frontier(self, N, tasks, n, total)

    def best_weights(
        self, N: float, utility: Callable[[Mapping[Hashable, float]], float] | str | None = None
    ) -> pd.Series:
        """Return the weights, of sum 1, that maximise a utility at size N.

        Args:
            N: Parameters of the model, > 0.
            utility: Takes the losses by task and returns a number; ``"equal regret"`` makes the largest loss beyond
                that of a single-task model as small as possible; by default minus the mean loss.

        Returns:
            Weights by task.

        Raises:
            NotFittedError: before ``fit``.
            ValueError: if the utility is unknown or not finite at equal weights, or if f is ``"free"``.
        """
        check_is_fitted(self, "theta_")
        return trade_off.best_weights(self, N, utility)

    def test_shared_exponent(
        self, method: Literal["F", "bootstrap"] = "F", n_boot: int = 200
    ) -> SharedExponentTest:
        """Test the joint law against one with an exponent and an irreducible loss for each weight.

        Both are fitted by least squares in log space to the rows of the fit, and their parameters counted.

        Args:
            method: ``"F"`` compares with the F distribution; ``"bootstrap"`` with refits of tables made by the joint
                law from resampled residuals.
            n_boot: Refits of the bootstrap, >= 20.

        Returns:
            Statistic, p value and AICc of both.

        Raises:
            NotFittedError: before ``fit``.
            ValueError: if there are too few rows for the separate laws.

        Source:
            The comparison of the joint law with separate fits.
        """
        check_is_fitted(self, "theta_")
        return test_shared_exponent(self, method, n_boot)

    # ---- drawing

    def plot_frontier(
        self, sizes: Sequence[float], tasks: Sequence[Hashable] | None = None, ax: Axes | None = None
    ) -> Axes:
        """Draw the frontier at several sizes.

        Args:
            sizes: Parameters, one curve each.
            tasks: Two tasks; by default the two of the fit.
            ax: Where to draw; a new figure by default.

        Returns:
            The axes.
        """
        from broadsheet.methods.scaling.multilingual_nmt_scaling import plots

        return plots.plot_frontier(self, sizes, tasks, ax)

    def plot_fraction(self, ax: Axes | None = None) -> Axes:
        """Draw the effective fraction of each task over its weight, beside the neutral diagonal.

        Args:
            ax: Where to draw; a new figure by default.

        Returns:
            The axes.
        """
        from broadsheet.methods.scaling.multilingual_nmt_scaling import plots

        return plots.plot_fraction(self, ax)

    test_shared_exponent.__test__ = False  # type: ignore[attr-defined]  # a method, not one of pytest's tests
