from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from broadsheet.methods._shared.tiny_lm import TinyLM
from broadsheet.methods._shared.tiny_lm.evaluation import cross_entropy
from broadsheet.methods._shared.tiny_lm.linear_cross_entropy import linear_cross_entropy


def drawn(rows: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(rows)
    hidden = torch.randn(rows, 5, generator=generator, dtype=dtype, requires_grad=True)
    weight = torch.randn(11, 5, generator=generator, dtype=dtype, requires_grad=True)
    targets = torch.randint(11, (rows,), generator=generator)
    targets[::3] = -100
    return hidden, weight, targets


@pytest.mark.parametrize("rows", [2, 511, 512, 513, 1300])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_value_and_gradients_are_those_of_torch(rows: int, reduction: str) -> None:
    hidden, weight, targets = drawn(rows)
    fused = linear_cross_entropy(hidden, weight, targets, reduction)
    plain = F.cross_entropy(hidden @ weight.T, targets, ignore_index=-100, reduction=reduction)
    torch.testing.assert_close(fused, plain)
    mine = torch.autograd.grad(3 * fused, [hidden, weight])
    torchs = torch.autograd.grad(3 * plain, [hidden, weight])
    torch.testing.assert_close(mine, torchs)


def test_gradient_is_that_of_finite_differences() -> None:
    hidden, weight, targets = drawn(7)
    assert torch.autograd.gradcheck(lambda h, w: linear_cross_entropy(h, w, targets), [hidden, weight])


def test_large_logits_do_not_overflow() -> None:
    hidden, weight, targets = drawn(6, torch.float32)
    fused = linear_cross_entropy(1e4 * hidden, weight, targets)
    assert torch.isfinite(fused)
    torch.testing.assert_close(fused, F.cross_entropy(1e4 * hidden @ weight.T, targets))


def test_a_frozen_side_gets_no_gradient() -> None:
    hidden, weight, targets = drawn(6)
    linear_cross_entropy(hidden, weight.detach(), targets).backward()
    assert hidden.grad is not None
    assert weight.grad is None
    with torch.no_grad():
        assert not linear_cross_entropy(hidden, weight, targets).requires_grad


def test_nothing_scored_is_no_number_and_other_reductions_are_refused() -> None:
    hidden, weight, targets = drawn(6)
    assert math.isnan(linear_cross_entropy(hidden, weight, torch.full_like(targets, -100)))
    with pytest.raises(ValueError, match="reduction must be 'mean' or 'sum', got 'none'"):
        linear_cross_entropy(hidden, weight, targets, "none")


@pytest.mark.parametrize("tied", [True, False])
def test_a_model_gets_the_same_loss_and_gradients_either_way(tied: bool) -> None:
    class Same(TinyLM):
        """A subclass takes the plain way."""

    one, other = (kind.preset("nano", vocab_size=30, tied=tied) for kind in (TinyLM, Same))
    inputs, targets = torch.randint(30, (2, 4, 40), generator=torch.Generator().manual_seed(0))
    targets[0, :7] = -100
    for model in (one, other):
        cross_entropy(model, inputs, targets).backward()
    torch.testing.assert_close(cross_entropy(one, inputs, targets), cross_entropy(other, inputs, targets))
    for mine, plain in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, plain.grad, rtol=1e-4, atol=1e-6)


def test_a_hook_on_the_model_is_called() -> None:
    model, called = TinyLM.preset("nano", vocab_size=30), []
    model.register_forward_hook(lambda *_: called.append(1))
    ids = torch.zeros(1, 5, dtype=torch.long)
    cross_entropy(model, ids, ids)
    assert called == [1]
