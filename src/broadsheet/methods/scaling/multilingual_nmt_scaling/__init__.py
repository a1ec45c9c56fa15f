"""Scaling Laws for Multilingual Neural Machine Translation (arXiv:2302.09650).

How each task's loss depends on the size of a model that several tasks share and on the task's sampling weight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

_NAMES = {
    "law": ["MixtureScaling"],
    "parameter_counts": ["t5_nonembedding_parameters", "t5_parameters"],
    "samplers": ["MixtureSampler", "TemperatureSampler"],
    "shared_exponent": ["SharedExponentTest"],
}
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs=_NAMES)

__all__ = [
    "MixtureSampler",
    "MixtureScaling",
    "SharedExponentTest",
    "TemperatureSampler",
    "t5_nonembedding_parameters",
    "t5_parameters",
]

if TYPE_CHECKING:
    from broadsheet.methods.scaling.multilingual_nmt_scaling.law import MixtureScaling
    from broadsheet.methods.scaling.multilingual_nmt_scaling.parameter_counts import (
        t5_nonembedding_parameters,
        t5_parameters,
    )
    from broadsheet.methods.scaling.multilingual_nmt_scaling.samplers import (
        MixtureSampler,
        TemperatureSampler,
    )
    from broadsheet.methods.scaling.multilingual_nmt_scaling.shared_exponent import SharedExponentTest
