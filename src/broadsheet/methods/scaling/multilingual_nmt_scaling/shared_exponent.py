"""Do exponent and irreducible loss depend on the weight? The joint law against separate ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats
from sklearn.base import clone

from broadsheet.methods.scaling.fitting import minimise
from broadsheet.methods.scaling.multilingual_nmt_scaling.cells import Cells
from broadsheet.methods.scaling.searching import search

if TYPE_CHECKING:
    from broadsheet.methods.scaling.multilingual_nmt_scaling.law import MixtureScaling

__all__ = ["SharedExponentTest", "test_shared_exponent"]


@dataclass(frozen=True)
class SharedExponentTest:
    """The joint law (one exponent and irreducible loss per task) against one per task and weight.

    Attributes:
        F: F statistic of the additional parameters.
        df: Its two degrees of freedom: additional parameters, and rows minus parameters of the separate laws.
        p_value: Probability of so large a statistic if the joint law is true.
        method: ``F`` or ``bootstrap``.
        aicc_joint: AICc of the joint law; infinite with too few rows.
        aicc_separate: AICc of the separate laws.
        rms_joint: Root mean square residual of the joint law, in log loss, per degree of freedom.
        parameters: Numbers of parameters, joint and separate.
        failed: Refits of the bootstrap that failed.
    """

    F: float
    df: tuple[int, int]
    p_value: float
    method: str
    aicc_joint: float
    aicc_separate: float
    rms_joint: float
    parameters: tuple[int, int]
    failed: int = 0

    @property
    def shared(self) -> bool:
        """Whether the joint law is not rejected at 5 %."""
        return self.p_value > 0.05

    def __str__(self) -> str:
        joint, separate = self.parameters
        word = "is not rejected" if self.shared else "is rejected"
        return (
            f"joint law ({joint} parameters) against separate laws ({separate}): "
            f"F({self.df[0]}, {self.df[1]}) = {self.F:.3g}, p = {self.p_value:.3g} ({self.method}); "
            f"AICc {self.aicc_joint:.1f} against {self.aicc_separate:.1f}. The joint law {word} at 5 %"
        )


def test_shared_exponent(law: MixtureScaling, method: str, n_boot: int) -> SharedExponentTest:
    """Test a fitted law: see :meth:`MixtureScaling.test_shared_exponent`."""
    if method not in ("F", "bootstrap"):
        raise ValueError(f"method must be 'F' or 'bootstrap', got {method!r}")
    if method == "bootstrap" and (isinstance(n_boot, bool) or not n_boot >= 20):
        raise ValueError(f"n_boot must be at least 20, got {n_boot!r}")
    joint = _refit(law, ("alpha", "L_inf"), law.rows_.y)
    separate = _refit(law, (), law.rows_.y, [_spread_out(joint, law)])
    n, few, many = len(law.rows_.y), len(joint.names_), len(separate.names_)
    if many == few:
        raise ValueError(
            "every task has one weight only: there is nothing to share; add runs with other weights p"
        )
    if n <= many:
        raise ValueError(
            f"the separate laws have {many} parameters and the table {n} rows: at least {many + 1} are needed, "
            "four sizes or more for each weight"
        )
    df = (many - few, n - many)
    rss_joint, rss_separate = 2 * joint.objective_, 2 * separate.objective_
    F = _statistic(rss_joint, rss_separate, df)
    p_value, failed = float(stats.f.sf(F, *df)), 0
    if method == "bootstrap":
        p_value, failed = _bootstrapped(law, joint, separate, F, df, n_boot)
    return SharedExponentTest(
        F=F,
        df=df,
        p_value=p_value,
        method=method,
        aicc_joint=_aicc(rss_joint, n, few),
        aicc_separate=_aicc(rss_separate, n, many),
        rms_joint=float(np.sqrt(rss_joint / (n - few))),
        parameters=(few, many),
        failed=failed,
    )


test_shared_exponent.__test__ = False  # type: ignore[attr-defined]  # not one of pytest's


def _refit(
    law: MixtureScaling,
    share: tuple[str, ...],
    y: Any,
    starts: list[Any] | None = None,
    *,
    warm: bool = False,
) -> MixtureScaling:
    """Fit free factors by least squares in log space, without asking whether each parameter can be told.

    A separate law whose irreducible loss runs to 0 still has its sum of squares, which is all that is needed.

    Args:
        law: The fitted law.
        share: What its refit shares over weights.
        y: (n,) losses.
        starts: Transformed starts beside the usual ones.
        warm: Whether these alone are followed.
    """
    made: MixtureScaling = clone(law)
    made.set_params(f="free", share=share, common_f=False, loss="mse", space="log", fixed=None, grid=None)
    made.rows_ = replace(law.rows_, y=y)
    made.runs_ = law.runs_
    made.cells_ = Cells.of(law.rows_.x, "free", share, False)
    made.parameters_ = made.cells_.parameters
    free = np.ones(len(made.parameters_), bool)
    if not warm:
        search(made, free)
        made._settle(free)
    if starts is not None:
        found = minimise(made._objective(), np.array(starts), free=free)
        best = int(np.nanargmin(found.value))
        if warm or found.value[best] < made.objective_:
            made.theta_, made.objective_ = found.theta[best], float(found.value[best])
    return made


def _spread_out(joint: MixtureScaling, law: MixtureScaling) -> Any:
    """Return the joint law's parameters as those of separate laws, which it is a case of."""
    apart = Cells.of(law.rows_.x, "free", (), False)
    theta = np.empty(len(apart.parameters))
    for (kind, task, weight), place in apart.index.items():
        at = (kind, task, weight) if kind == "beta" else (kind, task, None)
        theta[place] = joint.theta_[joint.cells_.index.get(at, joint.cells_.index.get((kind, task, None), 0))]
    return theta


def _statistic(rss_joint: float, rss_separate: float, df: tuple[int, int]) -> float:
    spare = max(rss_joint - rss_separate, 0.0)
    least = 1e-24  # residuals of rounding only: equal sums say nothing against the joint law
    return float((spare / df[0]) / (max(rss_separate, least) / df[1])) if spare > least else 0.0


def _bootstrapped(
    law: MixtureScaling,
    joint: MixtureScaling,
    separate: MixtureScaling,
    F: float,
    df: tuple[int, int],
    n_boot: int,
) -> tuple[float, int]:
    """Return the share of tables made by the joint law with a larger statistic, and the number of failures."""
    n = len(law.rows_.y)
    fitted = joint._log_predict(joint.theta_[None], law.rows_.x)[0]
    residuals = (np.log(law.rows_.y) - fitted) * np.sqrt(n / (n - len(joint.names_)))
    residuals = residuals - residuals.mean()
    larger, failed = 0, 0
    for number in range(n_boot):
        rng = np.random.default_rng([law.random_state, number])
        y = np.exp(fitted + rng.choice(residuals, n))
        try:
            one = _refit(law, ("alpha", "L_inf"), y, [joint.theta_], warm=True)
            other = _refit(law, (), y, [_spread_out(one, law), separate.theta_], warm=True)
        except ValueError:
            failed += 1
            continue
        larger += _statistic(2 * one.objective_, 2 * other.objective_, df) >= F
    return (1 + larger) / (1 + n_boot - failed), failed


def _aicc(rss: float, n: int, k: int) -> float:
    """Return AICc of a least-squares fit; the noise's variance is one parameter more."""
    k += 1
    if n - k - 1 <= 0:
        return float("inf")
    return float(n * np.log(max(rss, 1e-300) / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1))
