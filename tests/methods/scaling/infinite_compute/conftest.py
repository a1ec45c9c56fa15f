"""Small causal models for the tests."""

from __future__ import annotations

import pytest
import torch
from torch import nn

VOCABULARY = 7


class TinyCausal(nn.Module):
    """A causal model: mean of all embeddings so far, one hidden layer, dropout."""

    def __init__(self, vocabulary: int = VOCABULARY, width: int = 12) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, 8)
        self.hidden = nn.Linear(16, width)
        self.drop = nn.Dropout(0.5)
        self.out = nn.Linear(width, vocabulary)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        x = self.table(input_ids)
        steps = torch.arange(1, x.shape[1] + 1, device=x.device)[None, :, None]
        return self.out(self.drop(torch.relu(self.hidden(torch.cat([x, x.cumsum(1) / steps], -1)))))


def made(count: int, vocabulary: int = VOCABULARY) -> list[TinyCausal]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return [TinyCausal(vocabulary) for _ in range(count)]


@pytest.fixture
def models() -> list[TinyCausal]:
    return made(4)


@pytest.fixture
def tokens() -> torch.Tensor:
    return torch.randint(0, VOCABULARY, (5, 11), generator=torch.Generator().manual_seed(1))
