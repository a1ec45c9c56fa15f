"""Published constants of the law ``L = E + A / N**alpha + B / D**beta``: facts, each with its source."""

from __future__ import annotations

import math
from collections.abc import Mapping

__all__ = ["BESIROGLU", "BESIROGLU_ALL", "BESIROGLU_STD", "HOFFMANN", "HOFFMANN_ROUNDED"]

HOFFMANN_ROUNDED: Mapping[str, float] = {"A": 406.4, "B": 410.7, "E": 1.69, "alpha": 0.34, "beta": 0.28}
"""As printed by Hoffmann et al. 2022 (arXiv:2203.15556), section 3.3 and equation 10."""

HOFFMANN: Mapping[str, float] = {
    "A": math.exp(6.0073404),
    "B": math.exp(6.0179186),
    "E": math.exp(0.5267228),
    "alpha": 0.33917084,
    "beta": 0.2849083,
}
"""The same with more digits: taken from the TeX source by Besiroglu et al., printed in their notebook."""

BESIROGLU: Mapping[str, float] = {"A": 482.01, "B": 2085.43, "E": 1.82, "alpha": 0.3478, "beta": 0.3658}
"""The refit without five outliers: arXiv:2404.10102, table 1."""

BESIROGLU_STD: Mapping[str, float] = {"A": 124.58, "B": 1293.23, "E": 0.03, "alpha": 0.02, "beta": 0.02}
"""Its standard errors: the same table."""

BESIROGLU_ALL: Mapping[str, float] = {
    "A": math.exp(6.13834459),
    "B": math.exp(9.43584213),
    "E": math.exp(0.63412782),
    "alpha": 0.3453568,
    "beta": 0.45189211,
}
"""The refit to all 245 points: a comment in the authors' notebook."""
