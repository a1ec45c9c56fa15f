"""Many T5 models of one size, trained at once: their weights stand stacked along a first axis."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["StackedT5"]

_BUCKETS = 32
_FAR = 128
_EPS = 1e-6


class StackedT5(nn.Module):
    """``models`` encoder-decoders of the T5-1.1 kind (gated GELU, scale-only norms, relative positions).

    Each gives what ``transformers``' ``T5ForConditionalGeneration`` with ``feed_forward_proj="gated-gelu"`` gives for
    the same weights; small models train several times faster together than one by one, since a step costs the same
    number of operations for one as for twenty.

    Args:
        models: How many, M.
        vocabulary: Number of tokens, V.
        layers: Encoder layers = decoder layers.
        d_model: Width d, a multiple of ``heads``; the feed-forward width is 4 d.
        heads: Attention heads.
        seeds: One seed per model for its initial weights: the same seed gives the same model whatever stands beside it.

    Raises:
        ValueError: if ``d_model`` is no multiple of ``heads`` or there is not one seed per model.
    """

    def __init__(
        self, models: int, vocabulary: int, layers: int, d_model: int, heads: int, seeds: list[int]
    ) -> None:
        super().__init__()
        if d_model % heads:
            raise ValueError(f"d_model must be a multiple of heads ({heads}), got {d_model!r}")
        if len(seeds) != models:
            raise ValueError(f"seeds must hold one seed for each of the {models} models, got {len(seeds)}")
        self.models, self.layers, self.d_model, self.heads = models, layers, d_model, heads
        made = [_initial(vocabulary, layers, d_model, heads, seed) for seed in seeds]
        self.weights = nn.ParameterDict(
            {name: nn.Parameter(torch.stack([m[name] for m in made])) for name in made[0]}
        )

    def non_embedding_parameters(self) -> int:
        """Return the number of weights of one model other than token embedding and output matrix."""
        counted = (w for name, w in self.weights.items() if name not in ("embedding", "output"))
        return sum(w[0].numel() for w in counted)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Return each token's loss under teacher forcing.

        Args:
            source: Tokens, (M, sentences, source length).
            target: Tokens, (M, sentences, target length).

        Returns:
            Cross-entropy, nats, (M, sentences, target length).
        """
        w = self.weights
        memory = self._embed(source)
        bias = self._positions("encoder", source.shape[-1], causal=False)
        for layer in range(self.layers):
            at = f"encoder{layer}"
            x = _norm(memory, w[f"{at}_norm0"])
            memory = memory + self._attend(x, x, f"{at}_self", bias)
            memory = memory + self._feed(_norm(memory, w[f"{at}_norm1"]), at)
        memory = _norm(memory, w["encoder_norm"])
        before = torch.cat([torch.zeros_like(target[..., :1]), target[..., :-1]], dim=-1)
        state = self._embed(before)
        bias = self._positions("decoder", target.shape[-1], causal=True)
        for layer in range(self.layers):
            at = f"decoder{layer}"
            x = _norm(state, w[f"{at}_norm0"])
            state = state + self._attend(x, x, f"{at}_self", bias)
            state = state + self._attend(_norm(state, w[f"{at}_norm1"]), memory, f"{at}_cross", None)
            state = state + self._feed(_norm(state, w[f"{at}_norm2"]), at)
        state = _norm(state, w["decoder_norm"])
        logits = torch.bmm(state.flatten(1, 2), w["output"])
        loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none")
        return loss.view(target.shape)

    def _embed(self, tokens: Tensor) -> Tensor:
        table = self.weights["embedding"]
        models, vocabulary, width = table.shape
        offset = torch.arange(models).view(-1, 1, 1) * vocabulary
        return F.embedding(tokens + offset, table.reshape(models * vocabulary, width))

    def _positions(self, stack: str, length: int, *, causal: bool) -> Tensor:
        """Return what is added to the scores, (M, 1, heads, length, length)."""
        place = torch.arange(length)
        distance = place[None, :] - place[:, None]
        values = self.weights[f"{stack}_positions"][:, _bucket(distance, causal)]  # (M, l, l, heads)
        bias: Tensor = values.permute(0, 3, 1, 2).unsqueeze(1)
        return bias.masked_fill(distance > 0, -torch.inf) if causal else bias

    def _attend(self, x: Tensor, memory: Tensor, at: str, bias: Tensor | None) -> Tensor:
        w = self.weights
        if x is memory:
            q, k, v = (
                torch.bmm(x.flatten(1, 2), w[f"{at}_qkv"]).view(*x.shape[:3], 3, self.heads, -1).unbind(3)
            )
        else:
            q = torch.bmm(x.flatten(1, 2), w[f"{at}_q"]).view(*x.shape[:3], self.heads, -1)
            k, v = (
                torch.bmm(memory.flatten(1, 2), w[f"{at}_kv"])
                .view(*memory.shape[:3], 2, self.heads, -1)
                .unbind(3)
            )
        scores = q.transpose(2, 3) @ k.permute(0, 1, 3, 4, 2)
        if bias is not None:
            scores = scores + bias
        mixed = (scores.softmax(-1) @ v.transpose(2, 3)).transpose(2, 3)
        return torch.bmm(mixed.reshape(*x.shape).flatten(1, 2), w[f"{at}_o"]).view(x.shape)

    def _feed(self, x: Tensor, at: str) -> Tensor:
        gate, value = torch.bmm(x.flatten(1, 2), self.weights[f"{at}_in"]).chunk(2, dim=-1)
        hidden = F.gelu(gate, approximate="tanh") * value
        return torch.bmm(hidden, self.weights[f"{at}_out"]).view(x.shape)


def _norm(x: Tensor, scale: Tensor) -> Tensor:
    return F.rms_norm(x, x.shape[-1:], eps=_EPS) * scale[:, None, None]


def _bucket(distance: Tensor, causal: bool) -> Tensor:
    """Return T5's bucket of a relative position (key minus query): exact when near, logarithmic when far."""
    buckets = _BUCKETS if causal else _BUCKETS // 2
    side = torch.zeros_like(distance) if causal else (distance > 0).long() * buckets
    away = (-distance).clamp(min=0) if causal else distance.abs()
    near = buckets // 2
    ratio = torch.log(away.clamp(min=1) / near) / math.log(_FAR / near)
    far = (near + (ratio * (buckets - near)).long()).clamp(max=buckets - 1)
    return side + torch.where(away < near, away, far)


def _initial(vocabulary: int, layers: int, d: int, heads: int, seed: int) -> dict[str, Tensor]:
    """Return one model's weights before training; matrices are stored as (in, out)."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int, std: float) -> Tensor:
        return torch.randn(*shape, generator=generator) * std

    flat = d**-0.5
    query = (d * (d // heads)) ** -0.5  # T5 does not divide scores by the square root of the head's width
    made = {"embedding": normal(vocabulary, d, std=0.2), "output": normal(d, vocabulary, std=flat)}
    for stack, norms in (("encoder", 2), ("decoder", 3)):
        made[f"{stack}_positions"] = normal(_BUCKETS, heads, std=flat)
        made[f"{stack}_norm"] = torch.ones(d)
        for layer in range(layers):
            at = f"{stack}{layer}"
            made |= {f"{at}_norm{number}": torch.ones(d) for number in range(norms)}
            made[f"{at}_self_qkv"] = torch.cat([normal(d, d, std=query), normal(d, 2 * d, std=flat)], dim=1)
            made[f"{at}_self_o"] = normal(d, d, std=flat)
            if stack == "decoder":
                made[f"{at}_cross_q"] = normal(d, d, std=query)
                made[f"{at}_cross_kv"] = normal(d, 2 * d, std=flat)
                made[f"{at}_cross_o"] = normal(d, d, std=flat)
            made[f"{at}_in"] = normal(d, 8 * d, std=flat)
            made[f"{at}_out"] = normal(4 * d, d, std=(4 * d) ** -0.5)
    return made
