"""Chinchilla Scaling: A replication attempt (arXiv:2404.10102).

Published constants of the law of Hoffmann et al., and tests of whether runs agree with such constants. The law
itself is :class:`broadsheet.methods.scaling.Chinchilla`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

_NAMES = {
    "published": ["BESIROGLU", "HOFFMANN", "HOFFMANN_ROUNDED"],
    "rejection": ["likelihood_ratio_test", "parameter_test"],
}
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs=_NAMES)

__all__ = ["BESIROGLU", "HOFFMANN", "HOFFMANN_ROUNDED", "likelihood_ratio_test", "parameter_test"]

if TYPE_CHECKING:
    from broadsheet.methods.scaling.chinchilla_refit.published import BESIROGLU, HOFFMANN, HOFFMANN_ROUNDED
    from broadsheet.methods.scaling.chinchilla_refit.rejection import likelihood_ratio_test, parameter_test
