"""Resolving Discrepancies in Compute-Optimal Scaling of Language Models (arXiv:2406.19146).

The regimes of training and counting that lead from one law to the other, and the exponent of the optimal size in each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

_NAMES = {"regimes": ["REGIMES", "Regime", "regime_exponents"]}
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs=_NAMES)

__all__ = ["REGIMES", "Regime", "regime_exponents"]

if TYPE_CHECKING:
    from broadsheet.methods.scaling.compute_optimal_discrepancies.regimes import (
        REGIMES,
        Regime,
        regime_exponents,
    )
