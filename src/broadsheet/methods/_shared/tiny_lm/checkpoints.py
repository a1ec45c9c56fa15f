"""Checkpoints of a training run: written atomically, read without running code."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

__all__ = ["read_checkpoint", "write_checkpoint"]


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write the state; a process that is killed meanwhile leaves the file before it as it was.

    Args:
        path: The file; its folder is made.
        state: Tensors, numbers, texts, lists and mappings.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".half-{os.getpid()}-{path.name}")
    try:
        torch.save(dict(state), half)
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)


def read_checkpoint(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Read the state of a run with these settings.

    Raises:
        ValueError: if the file is no checkpoint, or one of a run with other settings; the message names them.
    """
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True)
        found: dict[str, Any] = state["settings"]
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise ValueError(f"checkpoint {path} is damaged or no checkpoint; remove it to start anew") from error
    wanted = dict(settings)
    if differ := sorted(k for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k)):
        told = ", ".join(f"{k}={found.get(k)!r} and not {wanted.get(k)!r}" for k in differ)
        raise ValueError(f"checkpoint {path} is of another run: {told}; name another file or remove it")
    return state
