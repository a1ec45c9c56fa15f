"""Scaling: laws that predict loss, performance and cost before training."""

from __future__ import annotations

from pathlib import Path

import lazy_loader

from broadsheet.rooms import public_names

# What all papers of the family share, then what each paper's paper.toml says it exports.
_CORE = {
    "chinchilla": ["Chinchilla"],
    "comparison": ["compare_laws"],
    "identification": ["NotIdentified", "ScalingWarning"],
    "isoflop": ["IsoFLOP", "PowerTrend", "fit_power_trend", "isoflop_fit"],
    "kaplan": ["KaplanSteps"],
    "law": ["Law", "Parameter"],
    "power": ["PowerLaw", "Reciprocal"],
    "powers": ["SumOfPowers", "Term"],
    "runs": ["RunTable"],
}
_NAMES = {**_CORE, **public_names(Path(__file__).parent)}
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=[*_NAMES, "datasets"], submod_attrs=_NAMES
)
