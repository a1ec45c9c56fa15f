"""Causal effects and survival times."""

from __future__ import annotations

from pathlib import Path

import lazy_loader

from broadsheet.rooms import public_names

# Each paper's paper.toml says what it exports: a new paper touches no file but its own.
_NAMES = public_names(Path(__file__).parent)
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules=list(_NAMES), submod_attrs=_NAMES)
