"""RegMix: data mixture as regression for language model pre-training (arXiv:2407.01492).

Choose the proportions of a training corpus from the losses of many tiny models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

_NAMES = {
    "interleaving": ["interleave"],
    "mixtures": ["MixtureWarning", "sample_mixtures"],
    "proxies": ["ProxyFailed", "ProxyRunner"],
    "regression": ["RegMix"],
}
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs=_NAMES)

__all__ = [
    "MixtureWarning",
    "ProxyFailed",
    "ProxyRunner",
    "RegMix",
    "interleave",
    "sample_mixtures",
]

if TYPE_CHECKING:
    from broadsheet.methods.scaling.regmix.interleaving import interleave
    from broadsheet.methods.scaling.regmix.mixtures import MixtureWarning, sample_mixtures
    from broadsheet.methods.scaling.regmix.proxies import ProxyFailed, ProxyRunner
    from broadsheet.methods.scaling.regmix.regression import RegMix
