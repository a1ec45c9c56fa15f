"""Densing Law of LLMs (arXiv:2412.04315).

The density of a model is the size that a reference would need for its score, over the size it has. The best density
of a time grows exponentially.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

_NAMES = {
    "conditional_loss": ["conditional_loss"],
    "configurations": ["REFERENCE_MODELS"],
    "family": ["ReferenceFamily"],
    "growth": ["combined_doubling", "doubling_time", "halving_time"],
    "laws": ["ConditionalLossLaw", "ExponentialTrend", "LossToMetric"],
    "one_step": ["OneStepReference"],
    "scores": ["ExtrapolationWarning"],
    "trend": ["DensingTrend"],
}
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs=_NAMES)

__all__ = [
    "REFERENCE_MODELS",
    "ConditionalLossLaw",
    "DensingTrend",
    "ExponentialTrend",
    "ExtrapolationWarning",
    "LossToMetric",
    "OneStepReference",
    "ReferenceFamily",
    "combined_doubling",
    "conditional_loss",
    "doubling_time",
    "halving_time",
]

if TYPE_CHECKING:
    from broadsheet.methods.scaling.densing_law.conditional_loss import conditional_loss
    from broadsheet.methods.scaling.densing_law.configurations import REFERENCE_MODELS
    from broadsheet.methods.scaling.densing_law.family import ReferenceFamily
    from broadsheet.methods.scaling.densing_law.growth import combined_doubling, doubling_time, halving_time
    from broadsheet.methods.scaling.densing_law.laws import ConditionalLossLaw, ExponentialTrend, LossToMetric
    from broadsheet.methods.scaling.densing_law.one_step import OneStepReference
    from broadsheet.methods.scaling.densing_law.scores import ExtrapolationWarning
    from broadsheet.methods.scaling.densing_law.trend import DensingTrend
