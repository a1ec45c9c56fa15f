"""Whether runs agree with published constants of a law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from broadsheet.methods.scaling.law import Law

__all__ = ["LikelihoodRatio", "likelihood_ratio_test", "parameter_test"]


def parameter_test(
    law: Law, published: Mapping[str, float], *, n_boot: int = 1000, group: str | None = None
) -> pd.DataFrame:
    """Test published values of a law's parameters one by one.

    The difference to the fit, in bootstrap standard errors of the parameter on its natural scale, is compared
    with Student's t of n - k degrees of freedom.

    Args:
        law: A fitted law.
        published: Values of some of its parameters.
        n_boot: Bootstrap refits, >= 20.
        group: Column whose values are resampled as a whole.

    Returns:
        By parameter: ``estimate``, ``std``, ``published``, ``t`` and the two-sided ``p``.

    Raises:
        ValueError: if a name is no parameter of the law.

    Source:
        arXiv:2404.10102, table 1 and the section on Hoffmann et al.'s estimates.

    Example:
        >>> from broadsheet.methods.scaling import PowerLaw
        >>> runs = pd.DataFrame({"N": np.geomspace(1e6, 1e9, 40)})
        >>> runs["loss"] = (1.7 + 40 / runs["N"] ** 0.25) * np.exp(0.01 * np.cos(np.arange(40) ** 2))
        >>> test = parameter_test(PowerLaw().fit(runs), {"alpha": 0.5, "E": 1.7}, n_boot=100)
        >>> (test["p"] < 0.01).tolist()
        [True, False]
    """
    unknown = [name for name in published if name not in law.names_]
    if unknown:
        raise ValueError(f"published names {unknown[0]!r}; the law has {', '.join(law.names_)}")
    if not published:
        raise ValueError("published must name at least one parameter, got none")
    drawn = law.bootstrap(n_boot, group=group).frame
    freedom = len(law.rows_.y) - int(law._free().sum())
    rows = {}
    for name, value in published.items():
        std = float(drawn[name].std(ddof=1))
        t = (law.params_[name] - value) / std
        rows[name] = {
            "estimate": law.params_[name],
            "std": std,
            "published": float(value),
            "t": t,
            "p": 2.0 * float(special.stdtr(freedom, -abs(t))),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


@dataclass(frozen=True)
class LikelihoodRatio:
    """The outcome of :func:`likelihood_ratio_test`.

    Attributes:
        statistic: Twice the difference of the log-likelihoods.
        degrees_of_freedom: Number of fitted parameters.
        p_value: From the chi-squared distribution.
    """

    statistic: float
    degrees_of_freedom: int
    p_value: float


def likelihood_ratio_test(law: Law, published: Mapping[str, float]) -> LikelihoodRatio:
    """Test all published parameters of a law at once against its fit by least absolute deviations.

    Both get the scale of their residuals freely. Under Laplace's density of the log residuals, the limit of
    Huber's with a free scale and a small threshold, the statistic is ``2 n ln(S / S_fit)`` for the sums S of
    absolute residuals.

    Args:
        law: A law fitted with ``loss="mae"``.
        published: Every parameter.

    Returns:
        The test.

    Raises:
        ValueError: if the law was fitted to another loss, or a parameter is missing.

    Source:
        arXiv:2404.10102: the authors' notebook, section "Likelihood test".
    """
    if law.loss != "mae":
        raise ValueError(f"law must be fitted with loss='mae', got {law.loss!r}")
    other = type(law).from_params(published, loss="mae", space=law.space)
    theirs = float(law._objective().value(other.theta_[None])[0])
    n, k = len(law.rows_.y), int(law._free().sum())
    statistic = 2.0 * n * float(np.log(theirs / law.objective_))
    return LikelihoodRatio(statistic, k, float(special.chdtrc(k, statistic)))
