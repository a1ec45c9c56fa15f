"""The gradient of the shared cross-entropy is that of mathematics, in double precision too."""

from __future__ import annotations

import torch
from torch.nn import functional

from broadsheet.methods._shared import tiny_lm


def test_the_gradient_of_a_mean_in_double_precision_is_exact():
    """A mean over 29 scored tokens: the gradient is that of the sum over 29, to double precision."""
    generator = torch.Generator().manual_seed(0)
    hidden, weight = (
        torch.randn(*size, generator=generator, dtype=torch.float64).requires_grad_()
        for size in ((37, 8), (19, 8))
    )
    targets = torch.randint(19, (37,), generator=generator)
    targets[::5] = -100
    found = torch.autograd.grad(tiny_lm.linear_cross_entropy(hidden, weight, targets), (hidden, weight))
    expected = torch.autograd.grad(functional.cross_entropy(hidden @ weight.T, targets), (hidden, weight))
    for a, b in zip(found, expected, strict=True):
        assert (a - b).abs().max() < 1e-13 * b.abs().max()
