"""A Flexible Parametric Modelling Framework for Survival Analysis (arXiv:1901.03212).

One lifetime distribution of four parameters that holds the classical ones, with covariates on several
parameters at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

_NAMES = {
    "comparison": ["compare_models", "likelihood_ratio_test", "stepwise"],
    "distribution": ["APGW"],
    "observations": ["FitWarning"],
    "regression": ["APGWRegressor"],
    "residuals": ["kaplan_meier"],
    "simulation": ["simulate_mpr"],
}
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs=_NAMES)

__all__ = [
    "APGW",
    "APGWRegressor",
    "FitWarning",
    "compare_models",
    "kaplan_meier",
    "likelihood_ratio_test",
    "simulate_mpr",
    "stepwise",
]

if TYPE_CHECKING:
    from broadsheet.methods.statistics.flexible_survival.comparison import (
        compare_models,
        likelihood_ratio_test,
        stepwise,
    )
    from broadsheet.methods.statistics.flexible_survival.distribution import APGW
    from broadsheet.methods.statistics.flexible_survival.observations import FitWarning
    from broadsheet.methods.statistics.flexible_survival.regression import APGWRegressor
    from broadsheet.methods.statistics.flexible_survival.residuals import kaplan_meier
    from broadsheet.methods.statistics.flexible_survival.simulation import simulate_mpr
