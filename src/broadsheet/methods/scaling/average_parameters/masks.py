"""Masks on the weights of linear layers: which weights are prunable, which are live, and where the cut lies."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.hooks import RemovableHandle

__all__ = [
    "Mask",
    "Prunable",
    "attach_masks",
    "detach_masks",
    "find_prunable",
    "global_threshold",
    "joined",
    "kept_count",
    "kth_smallest",
]

_ORIGINAL = "parametrizations.weight.original"
_MASK = "parametrizations.weight.0.live"


class Mask(nn.Module):
    """Multiplies a weight by its mask, so that removed weights count nothing and get no gradient.

    Args:
        weight: The weight to be masked, any shape; all of it is live at first.

    Attributes:
        live: True where the weight is live; a buffer of the weight's shape.
    """

    live: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("live", torch.ones_like(weight, dtype=torch.bool))
        self.dense = True  # spares the product until something has been removed

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight with zeros where it was removed."""
        return weight if self.dense else weight * self.live

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.refresh()

    def refresh(self) -> None:
        """Take note of a mask that was changed from outside."""
        self.dense = bool(self.live.all())


class Prunable:
    """One weight that can lose entries, with all the layers that share it.

    Args:
        name: Qualified name of the first layer that holds it.
        weight: The parameter.
        layers: The layers, one or (tied) more.
        transposed: Whether the input dimension is the first one, as in GPT-2's layers.
    """

    def __init__(self, name: str, weight: nn.Parameter, layers: list[nn.Module], transposed: bool) -> None:
        self.name = name
        self.weight = weight
        self.layers = layers
        self.transposed = transposed

    @property
    def mask(self) -> Mask:
        """The mask that has been attached."""
        return cast(Mask, cast(Any, self.layers[0]).parametrizations.weight[0])

    def fours(self, tensor: Tensor) -> Tensor:
        """Return a view or copy in groups of four neighbours along the input dimension, shape (size / 4, 4)."""
        return (tensor.t() if self.transposed else tensor).reshape(-1, 4)

    def from_fours(self, groups: Tensor) -> Tensor:
        """Undo :meth:`fours`."""
        rows, columns = self.weight.shape
        return groups.reshape(columns, rows).t() if self.transposed else groups.reshape(rows, columns)


def find_prunable(model: nn.Module, exclude: Sequence[str]) -> list[Prunable]:
    """Find the weights of the linear layers, each once however many layers share it.

    A weight that an embedding shares is no linear weight: it stays whole.

    Args:
        model: Any module.
        exclude: Parts of layer names that are left alone.

    Returns:
        The weights in the order of ``model.named_modules()``.

    Raises:
        ValueError: if there is none; the message lists the layers that were seen.
    """
    embedded = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    found: dict[int, Prunable] = {}
    seen: dict[str, int] = {}
    for name, layer in model.named_modules(remove_duplicate=True):
        kind = type(layer).__name__
        seen[kind] = seen.get(kind, 0) + 1
        if not _is_linear(layer):
            continue
        if parametrize.is_parametrized(layer, "weight"):
            raise ValueError(
                f"the weight of {name!r} is parametrised already, perhaps by another pruner: finalize() that one first"
            )
        weight = cast(nn.Parameter, layer.weight)
        if any(part in name for part in exclude) or id(weight) in embedded:
            continue
        if id(weight) in found:
            found[id(weight)].layers.append(layer)
        else:
            found[id(weight)] = Prunable(name, weight, [layer], not isinstance(layer, nn.Linear))
    if not found:
        listed = ", ".join(f"{count} {kind}" for kind, count in seen.items())
        raise ValueError(
            f"model has no linear layer to prune outside exclude={tuple(exclude)!r}; modules seen: {listed}"
        )
    return list(found.values())


def _is_linear(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Linear):
        return True
    layers = sys.modules.get("transformers.pytorch_utils")  # GPT-2's linear layer, if anybody has loaded it
    return layers is not None and isinstance(layer, layers.Conv1D)


def attach_masks(prunable: Iterable[Prunable]) -> list[RemovableHandle]:
    """Put a mask on every weight; optimisers made before keep working, for the parameters stay the same objects.

    In state dicts the weight keeps its name, holds zeros where it was removed, and ``weight_mask`` stands beside it.

    Args:
        prunable: The weights.

    Returns:
        Handles of the hooks that give the entries of state dicts their plain names.
    """
    handles = []
    for one in prunable:
        mask = Mask(one.weight)
        layer: Any  # torch leaves its hooks without types
        for layer in one.layers:
            parametrize.register_parametrization(layer, "weight", mask)
            handles.append(layer.register_state_dict_post_hook(_plain_names))
            handles.append(layer.register_load_state_dict_pre_hook(_own_names))
    return handles


def detach_masks(prunable: Iterable[Prunable], handles: Iterable[RemovableHandle]) -> None:
    """Write zeros where weights were removed and take masks and hooks off."""
    for handle in handles:
        handle.remove()
    for one in prunable:
        with torch.no_grad():
            one.weight.mul_(one.mask.live)
        for layer in one.layers:
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
            for name, other in list(layer.named_parameters(recurse=False)):
                if name != "weight":  # the weight was put last: restore the order that optimisers number by
                    delattr(layer, name)
                    layer.register_parameter(name, other)


def _plain_names(layer: nn.Module, state: dict[str, Tensor], prefix: str, _metadata: Any) -> None:
    weight, live = state.pop(prefix + _ORIGINAL), state.pop(prefix + _MASK)
    with torch.no_grad():
        weight.mul_(live)  # an optimiser's momentum may have moved what was removed: nobody shall see it
    state[prefix + "weight"], state[prefix + "weight_mask"] = weight, live


def _own_names(layer: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    for plain, own in (("weight", _ORIGINAL), ("weight_mask", _MASK)):
        if prefix + plain in state:
            state[prefix + own] = state.pop(prefix + plain)


def kth_smallest(values: Tensor, rank: int) -> float:
    """Return the value at a rank of the ascending order, without sorting.

    Args:
        values: Finite numbers >= 0, shape (n,); overwritten where they lie in the processor's memory.
        rank: Rank counted from 0, in [0, n).

    Returns:
        The value.

    Example:
        >>> kth_smallest(torch.tensor([3.0, 1.0, 2.0]), 1)
        2.0
    """
    if values.device.type != "cpu":
        return float(torch.kthvalue(values, rank + 1).values)
    kept = values.numpy()
    kept.partition(rank)
    return float(kept[rank])


def kept_count(keep: float, size: int) -> int:
    """Return how many of ``size`` weights a share keeps: rounded down, but 0.1 of 1000 is 100."""
    return int(keep * size * (1.0 + 1e-12))


def global_threshold(scores: Sequence[Tensor], keep: float) -> float:
    """Return the score that a weight must reach to stay, over all tensors together.

    With ``m`` scores in all it is the one at rank ``m - int(keep * m)`` (counted from 0) of their ascending order.

    Args:
        scores: Scores >= 0, any shapes; a weight that is gone already has score 0.
        keep: Share of all scores to stay, in (0, 1].

    Returns:
        The threshold; 0.0 where all stay, infinity where none does.

    Source:
        The authors' code, magnitude scores without structure.

    Example:
        >>> global_threshold([torch.tensor([4.0, 1.0]), torch.tensor([2.0, 3.0])], keep=0.5)
        3.0
    """
    size = sum(score.numel() for score in scores)
    rank = size - kept_count(keep, size)
    if rank == 0:
        return 0.0
    return kth_smallest(joined(scores, size), rank) if rank < size else float("inf")


def joined(scores: Iterable[Tensor], size: int) -> Tensor:
    """Return all scores in one new tensor of shape (size,).

    In single precision at least, in which every half-precision number is exact.
    """
    flat: Tensor | None = None
    begin = 0
    for score in scores:
        if flat is None:
            kind = torch.promote_types(score.dtype, torch.float32)
            flat = torch.empty(size, dtype=kind, device=score.device)
        flat[begin : begin + score.numel()].copy_(score.detach().reshape(-1))
        begin += score.numel()
    if flat is None:
        raise ValueError("scores must hold at least one tensor, got none")
    return flat
