"""Pre-training under infinite compute (arXiv:2509.14786).

When data are fixed and compute is not: tune a strong weight decay, train many members, average their logits, and
judge a recipe by its asymptote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

_NAMES = {
    "asymptote": [
        "Asymptote",
        "AsymptoteWarning",
        "DataEfficiency",
        "JointAsymptote",
        "data_efficiency",
        "fit_asymptote",
        "joint_asymptote",
    ],
    "curve": ["EnsembleCurve", "ensemble_curve"],
    "ensemble": ["LogitEnsemble"],
    "search": ["DataConstrainedSearch", "SearchWarning", "double_epochs_half_decay"],
    "training": ["distill", "sample_text", "train_ensemble"],
}
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs=_NAMES)

__all__ = [
    "Asymptote",
    "AsymptoteWarning",
    "DataConstrainedSearch",
    "DataEfficiency",
    "EnsembleCurve",
    "JointAsymptote",
    "LogitEnsemble",
    "SearchWarning",
    "data_efficiency",
    "distill",
    "double_epochs_half_decay",
    "ensemble_curve",
    "fit_asymptote",
    "joint_asymptote",
    "sample_text",
    "train_ensemble",
]

if TYPE_CHECKING:
    from broadsheet.methods.scaling.infinite_compute.asymptote import (
        Asymptote,
        AsymptoteWarning,
        DataEfficiency,
        JointAsymptote,
        data_efficiency,
        fit_asymptote,
        joint_asymptote,
    )
    from broadsheet.methods.scaling.infinite_compute.curve import EnsembleCurve, ensemble_curve
    from broadsheet.methods.scaling.infinite_compute.ensemble import LogitEnsemble
    from broadsheet.methods.scaling.infinite_compute.search import (
        DataConstrainedSearch,
        SearchWarning,
        double_epochs_half_decay,
    )
    from broadsheet.methods.scaling.infinite_compute.training import (
        distill,
        sample_text,
        train_ensemble,
    )
