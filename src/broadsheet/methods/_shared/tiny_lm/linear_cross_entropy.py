"""Output layer and cross-entropy in one, for narrow models whose logits cost more than their layers.

The logits of a few hundred tokens at a time stay in the processor's cache; their gradient is formed in place and
used at once, so the full matrix of logits never exists.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["linear_cross_entropy"]

_ROWS = 512


def linear_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
    """Return the cross-entropy of ``hidden @ weight.T``, differentiable once in both.

    Args:
        hidden: (n, width) last hidden states.
        weight: (vocab_size, width) of the output layer.
        targets: (n,) token ids; -100 is not scored.
        reduction: ``"mean"`` over the scored tokens or their ``"sum"``.

    Returns:
        A scalar, in nats.

    Raises:
        ValueError: if ``reduction`` is another word.

    Example:
        >>> hidden, weight, targets = torch.ones(3, 2), torch.zeros(4, 2), torch.tensor([0, 1, -100])
        >>> round(linear_cross_entropy(hidden, weight, targets).item(), 4)  # log 4
        1.3863
    """
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction must be 'mean' or 'sum', got {reduction!r}")
    divisor = float((targets != -100).sum()) if reduction == "mean" else 1.0
    if divisor == 0:
        return hidden.new_tensor(float("nan"))
    differentiate = torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)
    apply: Callable[..., Tensor] = _LinearCrossEntropy.apply
    return apply(hidden, weight, targets, divisor, differentiate)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, divisor: float, differentiate: bool
    ) -> Tensor:
        scored = targets != -100
        sought = targets.masked_fill(~scored, 0)[:, None]
        room = hidden.new_empty(min(_ROWS, len(hidden)), len(weight))
        total = hidden.new_zeros(())
        d_hidden = torch.empty_like(hidden) if differentiate else None
        d_weight = torch.zeros_like(weight) if differentiate else None
        for begin in range(0, len(hidden), _ROWS):
            part = slice(begin, begin + _ROWS)
            rows, ids, counts = hidden[part], sought[part], scored[part, None]
            logits = torch.mm(rows, weight.T, out=room[: len(rows)])
            top = logits.amax(1, keepdim=True)
            chosen = logits.gather(1, ids)
            sums = logits.sub_(top).exp_().sum(1, keepdim=True)
            total += ((sums.log() + top - chosen) * counts).sum()
            if d_hidden is None or d_weight is None:
                continue
            # The gradient of the loss in the logits: softmax less one at the target, zero where not scored.
            scale = counts.to(logits.dtype) / divisor
            slope = logits.mul_(scale / sums).scatter_add_(1, ids, -scale)
            torch.mm(slope, weight, out=d_hidden[part])
            d_weight.addmm_(slope.T, rows)
        if d_hidden is not None and d_weight is not None:
            ctx.save_for_backward(d_hidden, d_weight)
        return total / divisor

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        d_hidden, d_weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        return (
            d_hidden * slope if wanted[0] else None,
            d_weight * slope if wanted[1] else None,
            None,
            None,
            None,
        )
