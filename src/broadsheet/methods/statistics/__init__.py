"""Causal effects and survival times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

_NAMES = {
    "flexible_survival": [
        "APGW",
        "APGWRegressor",
        "FitWarning",
        "compare_models",
        "kaplan_meier",
        "likelihood_ratio_test",
        "simulate_mpr",
        "stepwise",
    ],
}
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submodules=list(_NAMES), submod_attrs=_NAMES)

__all__ = [
    "APGW",
    "APGWRegressor",
    "FitWarning",
    "compare_models",
    "flexible_survival",
    "kaplan_meier",
    "likelihood_ratio_test",
    "simulate_mpr",
    "stepwise",
]

if TYPE_CHECKING:
    from broadsheet.methods.statistics import flexible_survival
    from broadsheet.methods.statistics.flexible_survival import (
        APGW,
        APGWRegressor,
        FitWarning,
        compare_models,
        kaplan_meier,
        likelihood_ratio_test,
        simulate_mpr,
        stepwise,
    )
