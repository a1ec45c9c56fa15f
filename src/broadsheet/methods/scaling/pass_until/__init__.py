"""Unlock Predictable Scaling from Emergent Abilities (arXiv:2310.03262).

Items are sampled until they pass, so that pass rates far below one in a hundred can be measured; on that scale the
performance of a task follows a law in the size of the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

_NAMES = {
    "emergence": ["Emergence", "circuits_curve", "classify_emergence", "steps_curve"],
    "estimator": ["expected_mle", "pass_rate", "pass_rate_interval"],
    "exact": ["exact_pass_probability"],
    "laws": ["CensoredWarning", "InstanceTaskScaling", "TaskScaling"],
    "sampler": ["HFSampler", "TruncatedSamplingWarning"],
    "until": ["CheckerError", "PassUntil", "dataset_pass_rate"],
}
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs=_NAMES)

__all__ = [
    "CensoredWarning",
    "CheckerError",
    "Emergence",
    "HFSampler",
    "InstanceTaskScaling",
    "PassUntil",
    "TaskScaling",
    "TruncatedSamplingWarning",
    "circuits_curve",
    "classify_emergence",
    "dataset_pass_rate",
    "exact_pass_probability",
    "expected_mle",
    "pass_rate",
    "pass_rate_interval",
    "steps_curve",
]

if TYPE_CHECKING:
    from broadsheet.methods.scaling.pass_until.emergence import (
        Emergence,
        circuits_curve,
        classify_emergence,
        steps_curve,
    )
    from broadsheet.methods.scaling.pass_until.estimator import expected_mle, pass_rate, pass_rate_interval
    from broadsheet.methods.scaling.pass_until.exact import exact_pass_probability
    from broadsheet.methods.scaling.pass_until.laws import CensoredWarning, InstanceTaskScaling, TaskScaling
    from broadsheet.methods.scaling.pass_until.sampler import HFSampler, TruncatedSamplingWarning
    from broadsheet.methods.scaling.pass_until.until import CheckerError, PassUntil, dataset_pass_rate
