"""The trajectory law: the loss of any model after any number of steps at any batch size."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from broadsheet.methods.scaling.identification import ScalingWarning
from broadsheet.methods.scaling.law import Law, Parameter
from broadsheet.methods.scaling.loss_trajectory.root import trajectory_root
from broadsheet.methods.scaling.loss_trajectory.stages import sequential_constants
from broadsheet.methods.scaling.objective import Floats, LossName, Space

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LossTrajectory"]

_TOKENS = 4096.0  # a median batch below this counts sequences, not tokens


class LossTrajectory(Law):
    """``L = (N_c / N)**alpha_N + ((S_c / S) (1 + B_star / (B L**(1 / alpha_B))))**alpha_S``, implicit in L.

    The loss after S steps of B tokens each of a model with N non-embedding parameters, on data that are never
    repeated, after the warm-up and at a constant learning rate. There is no irreducible term: for N and S without
    bound the law goes to 0, so it holds for the sizes around those that were fitted.

    Args:
        loss: See :class:`Law`.
        delta: See :class:`Law`.
        space: See :class:`Law`.
        fixed: See :class:`Law`.
        grid: See :class:`Law`.
        random_state: See :class:`Law`.
        stages: ``joint``: all constants at once. ``sequential``: the sizes' limit first, then the critical batch,
            then the steps, from whole curves (the paper's recipe).
        batch_unit: What B counts, in tables and arguments: ``tokens``, or ``sequences`` of ``context`` tokens. Critical
            and best batches are always answered in tokens.
        context: Tokens per sequence, where B counts sequences.

    Source:
        Su et al. 2024 (arXiv:2403.06563), after Kaplan et al. 2020 (arXiv:2001.08361), equations 5.4 and 5.6.

    Example:
        >>> law = LossTrajectory.from_params(
        ...     {"N_c": 6.5e13, "alpha_N": 0.077, "S_c": 2100, "alpha_S": 0.76, "B_star": 2e8, "alpha_B": 0.21}
        ... )
        >>> law.predict(N=1e9, S=20_000, B=1e6).round(3).tolist()
        [2.626]
        >>> law.critical_batch(2.6).round(-3).tolist()
        2115000.0
    """

    inputs = ("N", "S", "B")
    parameters = (
        Parameter("N_c", "log", "size at which the first term is 1 nat"),
        Parameter("alpha_N", "log", "exponent of N"),
        Parameter("S_c", "log", "steps after which the second term is 1 nat, at a batch without bound"),
        Parameter("alpha_S", "log", "exponent of S"),
        Parameter("B_star", "log", "critical batch at a loss of 1 nat, tokens"),
        Parameter("alpha_B", "log", "exponent of the critical batch"),
    )
    governs: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "N": ("N_c", "alpha_N"),
        "S": ("S_c", "alpha_S"),
        "B": ("B_star", "alpha_B"),
    }

    def __init__(
        self,
        loss: LossName = "huber",
        delta: float = 1e-3,
        space: Space = "log",
        fixed: Mapping[str, float] | None = None,
        grid: Mapping[str, Any] | None = None,
        random_state: int = 0,
        stages: Literal["joint", "sequential"] = "joint",
        batch_unit: Literal["tokens", "sequences"] = "tokens",
        context: int | None = None,
    ) -> None:
        super().__init__(loss, delta, space, fixed, grid, random_state)
        self.stages = stages
        self.batch_unit = batch_unit
        self.context = context

    # ---- fitting

    def fit(
        self,
        runs: Any,
        y: Any = None,
        *,
        columns: Mapping[str, Any] | None = None,
        warmup: int = 0,
        **settings: Any,
    ) -> Any:
        """Fit the law to points of training curves, or to ends of runs.

        Args:
            runs: One row per point with N (non-embedding parameters), S (steps), B (tokens per step) and loss.
                Rows with S = 0 are dropped with a warning that counts them.
            y: (n,) losses, if they do not stand in the table.
            columns: Where columns stand.
            warmup: Rows up to this step are dropped as well, >= 0: the law begins after the warm-up.
            **settings: Those of :meth:`Law.fit`.

        Returns:
            The law itself.

        Raises:
            ValueError: naming column and row; or if B looks like sequences and ``batch_unit`` does not say so; or
                if a curve rises (a diverged run).
            NotIdentified: with a single batch size, size or number of steps.
        """
        if self.stages not in ("joint", "sequential"):
            raise ValueError(f"stages must be 'joint' or 'sequential', got {self.stages!r}")
        frame = self._prepared(runs, columns, warmup)
        if y is not None:
            frame["loss"] = np.asarray(y, float)
        return super().fit(frame, **settings)

    def _prepared(self, runs: Any, columns: Mapping[str, Any] | None, warmup: int) -> pd.DataFrame:
        """Return the table under canonical names, without steps 0."""
        if not warmup >= 0:
            raise ValueError(f"warmup must be >= 0, got {warmup!r}")
        frame = getattr(runs, "df", runs)
        if not isinstance(frame, pd.DataFrame):
            raise TypeError(f"runs must be a pandas DataFrame or a RunTable, got {type(runs).__name__}")
        frame = frame.rename(columns={old: new for new, old in (columns or {}).items()})
        if "S" in frame:
            at_start = pd.to_numeric(frame["S"], errors="coerce").between(0, warmup)
            if at_start.any():
                words = "S = 0" if warmup == 0 else f"S <= {warmup}"
                warnings.warn(
                    f"{int(at_start.sum())} rows with {words} are left out: the law begins after the warm-up",
                    ScalingWarning,
                    stacklevel=3,
                )
                frame = frame[~at_start]
        self._check_unit(frame)
        return frame

    def _check_unit(self, frame: pd.DataFrame) -> None:
        if self.batch_unit not in ("tokens", "sequences"):
            raise ValueError(f"batch_unit must be 'tokens' or 'sequences', got {self.batch_unit!r}")
        if self.batch_unit == "sequences":
            if self.context is None or not self.context >= 1:
                raise ValueError(
                    f"batch_unit='sequences' needs context=, tokens per sequence, got {self.context!r}"
                )
        elif "B" in frame and self.context is None:
            middle = float(pd.to_numeric(frame["B"], errors="coerce").median())
            if middle < _TOKENS:
                raise ValueError(
                    f"column 'B': its median is {middle:g}, which looks like sequences per batch; the law wants "
                    "tokens. Say batch_unit='sequences' with context=, or give context= if B is in tokens indeed"
                )

    def _tokens(self, B: Any) -> Floats:
        """Return batches as tokens per step."""
        unit = float(self.context or 1) if self.batch_unit == "sequences" else 1.0
        return _positive("B", B) * unit

    def _logs(self, x: Mapping[str, Any]) -> tuple[Floats, Floats, Floats]:
        """Return (n,) logarithms of N, S and B in tokens."""
        return np.log(x["N"]), np.log(x["S"]), np.log(self._tokens(x["B"]))

    def _search(self, free: np.ndarray) -> None:
        _refuse_rising(self.rows_.frame)
        if self.stages == "joint":
            super()._search(free)
            return
        if not free.all():
            raise ValueError("stages='sequential' estimates all constants: take fixed= with stages='joint'")
        params = sequential_constants(
            self.rows_.x["N"], self.rows_.x["S"], self._tokens(self.rows_.x["B"]), self.rows_.y
        )
        self.theta_ = np.array([float(self._transformed(name, params[name])) for name in self.names_])
        self.objective_ = float(self._objective().value(self.theta_[None])[0])
        self.converged_, self.n_polished_, self.n_agree_ = True, 1, 1
        self.params_ = dict(zip(self.names_, map(float, self._natural(self.theta_)), strict=True))

    def _openness(self, covariance: Floats) -> Floats:
        """Return standard errors of the exponents, and of each pair's level in the middle of the table.

        The scales themselves belong to a loss of 1 nat, far outside of most tables: alone they may be as unsure as
        they like, so long as the two constants of a pair say the same together.
        """
        n_c, log_alpha_n, s_c, log_alpha_s, _, log_alpha_b = self.theta_
        size, steps = (float(np.log(self.rows_.x[name]).mean()) for name in ("N", "S"))
        alpha_n, alpha_s, alpha_b = np.exp([log_alpha_n, log_alpha_s, log_alpha_b])
        middle = float(np.log(np.median(self.rows_.y)))
        gradients = np.eye(6)
        gradients[0, :2] = alpha_n, alpha_n * (n_c - size)
        gradients[2, 2:4] = alpha_s, alpha_s * (s_c - steps)
        gradients[4, 5] = middle / alpha_b
        spread: Floats = np.sqrt(np.einsum("ij,jk,ik->i", gradients, covariance, gradients))
        return spread

    # ---- the law

    def _log_predict(self, theta: Floats, x: Mapping[str, Any]) -> Floats:
        return trajectory_root(theta, *self._logs(x))[0]

    def _log_predict_jacobian(self, theta: Floats, x: Mapping[str, Any]) -> tuple[Floats, Floats]:
        return trajectory_root(theta, *self._logs(x), jacobian=True)  # type: ignore[return-value]

    def _starts(self, x: Mapping[str, Any], y: Floats) -> Floats:
        size, steps, batch = (logs.mean() for logs in self._logs(x))
        middle = np.log(np.median(y))
        alpha_n, alpha_s, alpha_b, share, critical = (
            a.ravel()
            for a in np.meshgrid(
                (0.04, 0.08, 0.15, 0.3),
                (0.3, 0.6, 0.9),
                (0.1, 0.2, 0.4),
                (0.5, 0.8, 0.93),
                np.log((0.1, 1.0, 10.0)),
                indexing="ij",
            )
        )
        # At the middle of the table the terms share the loss, and the critical batch is near the batches used.
        n_c = size + (np.log(share) + middle) / alpha_n
        b_star = batch + critical + middle / alpha_b
        s_c = steps + (np.log1p(-share) + middle) / alpha_s - np.log1p(np.exp(critical))
        return np.stack([n_c, np.log(alpha_n), s_c, np.log(alpha_s), b_star, np.log(alpha_b)], axis=1)

    # ---- what it tells

    def min_loss(self, N: Any) -> Floats:
        """Return the loss that a size reaches with data and steps without bound.

        Args:
            N: Non-embedding parameters, > 0.

        Returns:
            Losses, nats per token.
        """
        p = self._known()
        limit: Floats = np.exp(p["alpha_N"] * (np.log(p["N_c"]) - np.log(_positive("N", N))))
        return limit

    def critical_batch(self, loss: Any) -> Floats:
        """Return the batch at which a loss costs twice the least steps and twice the least tokens.

        Args:
            loss: Nats per token, > 0.

        Returns:
            Tokens per step; it depends on the loss alone.

        Source:
            Kaplan et al. 2020, equation 5.3.
        """
        p = self._known()
        critical: Floats = np.exp(np.log(p["B_star"]) - np.log(_positive("loss", loss)) / p["alpha_B"])
        return critical

    def min_steps(self, loss: Any, N: Any) -> Floats:
        """Return the steps to a loss at a batch without bound; infinite where the size never reaches it."""
        p = self._known()
        loss, size = np.broadcast_arrays(_positive("loss", loss), _positive("N", N))
        left = loss - self.min_loss(size)
        found = np.full(left.shape, np.inf)
        found[left > 0] = p["S_c"] * left[left > 0] ** (-1.0 / p["alpha_S"])
        if np.isinf(found).any():
            at = int(np.argmax(np.isinf(found)))
            warnings.warn(
                f"a loss of {loss.flat[at]:g} is never reached with N = {size.flat[at]:g}: its limit is "
                f"{float(self.min_loss(size.flat[at])):.4g}; steps are infinite",
                ScalingWarning,
                stacklevel=3,
            )
        return found[()]

    def steps_to(self, loss: Any, N: Any, B: Any) -> Floats:
        """Return the steps to a loss.

        Args:
            loss: Nats per token.
            N: Non-embedding parameters.
            B: Batch, in ``batch_unit``.

        Returns:
            ``S_min (1 + B_crit / B)``; infinite, with a warning that says why, where the size never gets there.

        Source:
            Kaplan et al. 2020, equation 5.4.
        """
        return self.min_steps(loss, N) * (1.0 + self.critical_batch(loss) / self._tokens(B))

    def tokens_to(self, loss: Any, N: Any, B: Any) -> Floats:
        """Return the tokens to a loss: steps times batch. See :meth:`steps_to`."""
        return self.steps_to(loss, N, B) * self._tokens(B)

    def optimal_batch(
        self, loss: Any, *, time_price: float | None = None, token_price: float | None = None
    ) -> Floats:
        """Return the batch that makes a loss cheapest.

        Args:
            loss: Nats per token.
            time_price: Cost of a step, > 0.
            token_price: Cost of a token, > 0. Without prices both weigh as at the critical batch.

        Returns:
            Tokens per step: ``sqrt(B_crit time_price / token_price)``, or the critical batch.

        Raises:
            ValueError: if only one price is given, or one is not > 0.
        """
        critical = self.critical_batch(loss)
        if time_price is None and token_price is None:
            return critical
        if time_price is None or token_price is None or not (time_price > 0 and token_price > 0):
            raise ValueError(
                f"give both prices, each > 0, or none, got time_price={time_price!r}, token_price={token_price!r}"
            )
        return np.sqrt(critical * time_price / token_price)

    def curve(self, N: float, B: float, steps: Any) -> pd.DataFrame:
        """Return a training curve before it is run.

        Args:
            N: Non-embedding parameters.
            B: Batch, in ``batch_unit``.
            steps: (n,) steps, > 0.

        Returns:
            Columns ``S``, ``tokens`` and ``loss``.
        """
        at = np.atleast_1d(_positive("steps", steps))
        frame = pd.DataFrame({"N": float(N), "S": at, "B": float(B)})
        return pd.DataFrame({"S": at, "tokens": at * self._tokens(B), "loss": self.predict(frame)})

    def plot_curves(self, hold_out: pd.DataFrame | None = None, ax: Axes | None = None) -> Axes:
        """Draw the fitted curves as points with the law through them, and a curve that it has not seen in bold.

        Args:
            hold_out: A curve to compare with: N, S, B and loss.
            ax: Where to draw.

        Returns:
            The Axes.

        Raises:
            ValueError: if the law has no runs, or a column is missing.
        """
        self._check_has_runs()
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.figure().add_subplot()
        parts = [(self.runs_, False)] + ([(hold_out, True)] if hold_out is not None else [])
        sizes = {
            size: f"C{i}" for i, size in enumerate(sorted({s for frame, _ in parts for s in frame["N"]}))
        }
        for frame, bold in parts:
            for (size, _), curve in frame.groupby(["N", "B"]):
                ordered = curve.sort_values("S")
                color = sizes[float(ordered["N"].iloc[0])]
                ax.plot(ordered["S"], ordered["loss"], "o", color=color, markersize=5 if bold else 2)
                ax.plot(ordered["S"], self.predict(ordered), color=color, linewidth=2.5 if bold else 0.8)
                if bold:
                    last = ordered.iloc[-1]
                    ax.annotate(
                        f"held out, N = {size:.3g}", (last["S"], last["loss"]), color=color, weight="bold"
                    )
        ax.set(xscale="log", xlabel="steps S", ylabel="loss (nats per token)")
        return ax

    def _known(self) -> dict[str, float]:
        check_is_fitted(self, "theta_")
        return dict(self.params_)


def _positive(name: str, values: Any) -> Floats:
    found = np.asarray(values, float)
    if not (np.isfinite(found) & (found > 0)).all():
        raise ValueError(f"{name} must be > 0 and finite, got {values!r}")
    return found


def _refuse_rising(frame: pd.DataFrame) -> None:
    """Refuse curves that end far above their lowest point: a diverged run is no point of a law."""
    names = [n for n in ("group", "run") if n in frame.columns][:1] or ["N", "B"]
    for key, curve in frame.groupby(names, sort=False):
        if curve["S"].nunique() < 3 or curve["S"].nunique() < len(curve):
            continue  # ends of runs, not a curve
        ordered = curve.sort_values("S")["loss"].to_numpy()
        if ordered[-1] > 1.05 * ordered.min() and ordered[-1] > ordered[0] * 0.95:
            told = ", ".join(
                f"{n}={v:g}" if isinstance(v, float | int) else f"{n}={v!r}"
                for n, v in zip(names, key, strict=True)
            )
            raise ValueError(
                f"the curve of {told} rises from {ordered.min():.4g} to {ordered[-1]:.4g}: a diverged run; leave it out"
            )
