"""The model: a Llama-like decoder in plain torch, small enough to read in one sitting.

Pre-RMSNorm, rotary positions, one fused projection for queries, keys and values, causal attention, a gated
feed-forward (SwiGLU), tied embeddings, no biases, no dropout.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["PRESETS", "Attention", "RMSNorm", "SwiGLU", "TinyLM", "TinyLMConfig", "TinyLMOutput"]

PRESETS: Mapping[str, Mapping[str, int]] = {
    "nano": {"d_model": 64, "heads": 2, "layers": 2},
    "micro": {"d_model": 96, "heads": 3, "layers": 3},
    "mini": {"d_model": 160, "heads": 5, "layers": 3},
    "small": {"d_model": 256, "heads": 4, "layers": 4},
    "base": {"d_model": 320, "heads": 5, "layers": 4},
}
"""Shapes of about 0.1, 0.3, 1, 3 and 5 million parameters with 1024 tokens."""


@dataclass(frozen=True)
class TinyLMConfig:
    """Shape of a model.

    Args:
        vocab_size: Number of tokens.
        d_model: Width of the residual stream.
        heads: Query heads per layer.
        layers: Number of blocks.
        d_ff: Width of the feed-forward; by default 8/3 of ``d_model``, rounded up to a multiple of 16.
        d_head: Width of a head, even; by default ``d_model / heads``. ``heads * d_head`` may differ from
            ``d_model``.
        kv_heads: Heads of keys and values, a divisor of ``heads``; by default ``heads``.
        max_context: Longest sequence, tokens.
        tied: Whether the output layer shares the weights of the embedding.
        rope_base: Base of the rotary frequencies.
        norm_eps: Added to the mean square in the norms.

    Raises:
        ValueError: if the shape is impossible.

    Example:
        >>> TinyLMConfig(vocab_size=1024, d_model=64, heads=2, layers=2).d_ff
        176
    """

    vocab_size: int
    d_model: int
    heads: int
    layers: int
    d_ff: int = 0
    d_head: int = 0
    kv_heads: int = 0
    max_context: int = 1024
    tied: bool = True
    rope_base: float = 10_000.0
    norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        for name in ("vocab_size", "d_model", "heads", "layers", "max_context"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("d_ff", "d_head", "kv_heads"):
            if getattr(self, name) < 0:
                raise ValueError(
                    f"{name} must be at least 1 (or 0 for its default), got {getattr(self, name)}"
                )
        # Frozen: a default that depends on other fields is set the only way there is.
        if not self.d_ff:
            object.__setattr__(self, "d_ff", -(-8 * self.d_model // 48) * 16)
        if not self.d_head:
            if self.d_model % self.heads:
                raise ValueError(
                    f"heads={self.heads} does not divide d_model={self.d_model}; choose a divisor or give d_head"
                )
            object.__setattr__(self, "d_head", self.d_model // self.heads)
        if self.d_head % 2:
            raise ValueError(f"d_head must be even for rotary positions, got {self.d_head}; change heads")
        if not self.kv_heads:
            object.__setattr__(self, "kv_heads", self.heads)
        if self.heads % self.kv_heads:
            raise ValueError(f"kv_heads={self.kv_heads} must divide heads={self.heads}")

    @classmethod
    def preset(cls, name: str, vocab_size: int = 1024, **overrides: Any) -> TinyLMConfig:
        """Return the shape of that name.

        Args:
            name: One of :data:`PRESETS`.
            vocab_size: Number of tokens.
            overrides: Other fields of the shape.

        Raises:
            ValueError: if there is no such preset.
        """
        if name not in PRESETS:
            raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {name!r}")
        return cls(**{"vocab_size": vocab_size, **PRESETS[name], **overrides})

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types, for a key or a report."""
        return dataclasses.asdict(self)


Factory = Callable[[TinyLMConfig, int], nn.Module]
"""Makes the mixer or the feed-forward of a layer from the layer's shape and its index."""


@dataclass
class TinyLMOutput:
    """What a forward pass gives, named as in transformers.

    Args:
        logits: (batch, length, vocab_size).
        loss: Mean cross-entropy in nats over the labelled positions, or None without labels.
    """

    logits: Tensor
    loss: Tensor | None = None


class RMSNorm(nn.Module):
    """Divide by the root mean square over the last axis, then scale each channel.

    Args:
        width: Size of the last axis.
        eps: Added to the mean square.
    """

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised ``x``, any shape that ends in ``width``."""
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class Attention(nn.Module):
    """Causal self-attention with rotary positions and one fused projection.

    Args:
        config: The layer's shape.
        layer: Its index (unused: the signature of a factory).
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, config: TinyLMConfig, layer: int = 0) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.d_head = config.heads, config.kv_heads, config.d_head
        self.qkv = nn.Linear(config.d_model, (self.heads + 2 * self.kv_heads) * self.d_head, bias=False)
        self.out = nn.Linear(self.heads * self.d_head, config.d_model, bias=False)
        frequency = config.rope_base ** -(torch.arange(0, self.d_head, 2, dtype=torch.float32) / self.d_head)
        angle = torch.outer(torch.arange(config.max_context, dtype=torch.float32), frequency)
        angle = torch.cat([angle, angle], dim=-1)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix positions: (batch, length, d_model) to the same shape."""
        batch, length, _ = x.shape
        heads, kv = self.heads, self.kv_heads
        mixed = self.qkv(x).view(batch, length, heads + 2 * kv, self.d_head)
        # split and not slices: the gradient of a slice fills a whole tensor with zeros.
        turned, v = torch.split(mixed, [heads + kv, kv], dim=2)
        turned = _rotate(turned, self.cos[:length, None], self.sin[:length, None])
        q, k = torch.split(turned.transpose(1, 2), [heads, kv], dim=1)
        y = F.scaled_dot_product_attention(q, k, v.transpose(1, 2), is_causal=True, enable_gqa=kv != heads)
        x = self.out(y.transpose(1, 2).reshape(batch, length, heads * self.d_head))
        return x


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (i, i + width/2) of the last axis by their position's angle."""
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-right, left], dim=-1) * sin


class SwiGLU(nn.Module):
    """Gated feed-forward: ``down(silu(gate(x)) * up(x))``.

    Args:
        config: The layer's shape.
        layer: Its index (unused: the signature of a factory).
    """

    def __init__(self, config: TinyLMConfig, layer: int = 0) -> None:
        super().__init__()
        # Two projections and not one: the halves of one product lie apart in memory and are slower to gate.
        self.gate = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.up = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.down = nn.Linear(config.d_ff, config.d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each position: (batch, length, d_model) to the same shape."""
        x = self.down(F.silu(self.gate(x)) * self.up(x))
        return x


class Block(nn.Module):
    """One layer: ``x + mixer(norm(x))``, then ``x + ffn(norm(x))``."""

    def __init__(self, config: TinyLMConfig, mixer: nn.Module, ffn: nn.Module) -> None:
        super().__init__()
        self.mixer_norm = RMSNorm(config.d_model, config.norm_eps)
        self.mixer = mixer
        self.ffn_norm = RMSNorm(config.d_model, config.norm_eps)
        self.ffn = ffn

    def forward(self, x: Tensor) -> Tensor:
        """Transform (batch, length, d_model)."""
        x = x + self.mixer(self.mixer_norm(x))
        x = x + self.ffn(self.ffn_norm(x))
        return x


class TinyLM(nn.Module):
    """The decoder.

    Args:
        config: Its shape.
        mixer: Makes each layer's mixer, ``mixer(config, layer)``, a module on (batch, length, d_model);
            default :class:`Attention`.
        ffn: Makes each layer's feed-forward in the same way; default :class:`SwiGLU`.
        per_layer: One mapping per layer of what differs there: fields of the shape (``heads``, ``d_ff``,
            ``d_head``, ``kv_heads``), ``mixer`` or ``ffn``.
        seed: Seed of the initial weights. A parameter's values depend on the seed, its name and its shape
            only, so two models agree wherever name and shape agree.

    Raises:
        ValueError: if ``per_layer`` has a wrong length or a key that may not differ between layers.

    Example:
        >>> model = TinyLM(TinyLMConfig(vocab_size=50, d_model=32, heads=2, layers=1), seed=0)
        >>> ids = torch.arange(10).reshape(1, 10)
        >>> output = model(ids, labels=ids)
        >>> tuple(output.logits.shape), output.loss.ndim
        ((1, 10, 50), 0)
    """

    def __init__(
        self,
        config: TinyLMConfig,
        *,
        mixer: Factory | None = None,
        ffn: Factory | None = None,
        per_layer: Sequence[Mapping[str, Any]] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        shapes = _layers(config, per_layer)
        self.config = config
        self.per_layer = [dict(given) for given in per_layer] if per_layer is not None else None
        # Modules draw weights while they are made: from the seed, and without touching the caller's state.
        with torch.random.fork_rng(devices=[]):
            self._build(shapes, mixer or Attention, ffn or SwiGLU, seed)
        self._initialise(seed)

    def _build(
        self, shapes: list[tuple[TinyLMConfig, Mapping[str, Any]]], mixer: Factory, ffn: Factory, seed: int
    ) -> None:
        c = self.config
        self.embed = nn.Embedding(c.vocab_size, c.d_model)
        blocks = []
        for layer, (shape, given) in enumerate(shapes):
            torch.manual_seed(_key(seed, f"layer {layer}"))
            made_mixer, made_ffn = (
                given.get("mixer", mixer)(shape, layer),
                given.get("ffn", ffn)(shape, layer),
            )
            blocks.append(Block(shape, made_mixer, made_ffn))
        self.blocks = nn.ModuleList(blocks)
        self.norm = RMSNorm(c.d_model, c.norm_eps)
        self.head = None if c.tied else nn.Linear(c.d_model, c.vocab_size, bias=False)

    @classmethod
    def preset(
        cls,
        name: str,
        vocab_size: int = 1024,
        *,
        mixer: Factory | None = None,
        ffn: Factory | None = None,
        per_layer: Sequence[Mapping[str, Any]] | None = None,
        seed: int = 0,
        **overrides: Any,
    ) -> TinyLM:
        """Make the model of a preset: see :meth:`TinyLMConfig.preset` and the arguments of the class.

        Raises:
            ValueError: if there is no such preset, or the shape is impossible.
        """
        shape = TinyLMConfig.preset(name, vocab_size, **overrides)
        return cls(shape, mixer=mixer, ffn=ffn, per_layer=per_layer, seed=seed)

    @torch.no_grad()
    def _initialise(self, seed: int) -> None:
        residual = (2 * self.config.layers) ** -0.5
        _normal(self.embed.weight, 0.02, seed, "embed.weight")
        if self.head is not None:
            _normal(self.head.weight, self.config.d_model**-0.5, seed, "head.weight")
        for name, module in self.named_modules():
            if not isinstance(module, Attention | SwiGLU):
                continue
            last = module.out if isinstance(module, Attention) else module.down
            for part, linear in module.named_children():
                if isinstance(linear, nn.Linear):
                    share = residual if linear is last else 1.0
                    _normal(linear.weight, share * linear.in_features**-0.5, seed, f"{name}.{part}")

    def forward(
        self, input_ids: Tensor, labels: Tensor | None = None, attention_mask: Tensor | None = None
    ) -> TinyLMOutput:
        """Return logits, and the loss where labels are given.

        Args:
            input_ids: (batch, length) token ids.
            labels: (batch, length) token ids as in transformers: label t is predicted from the positions
                before t, and -100 is not scored.
            attention_mask: (batch, length), 1 for text and 0 for padding, which must be on the right: then
                no text position sees it.

        Raises:
            ValueError: if the sequence is longer than ``max_context``, or padded on the left.
        """
        if input_ids.shape[-1] > self.config.max_context:
            raise ValueError(
                f"input_ids has {input_ids.shape[-1]} positions, the model max_context={self.config.max_context}; "
                "cut the text or give the config a larger max_context"
            )
        if attention_mask is not None and bool((attention_mask[:, 1:] > attention_mask[:, :-1]).any()):
            raise ValueError("attention_mask must have its padding on the right, got padding before text")
        logits = self.logits(self.hidden(input_ids))
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
        return TinyLMOutput(logits=logits, loss=loss)

    def hidden(self, input_ids: Tensor) -> Tensor:
        """Return the last hidden states after the final norm: (batch, length, d_model)."""
        x: Tensor = self.embed(input_ids)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return x

    def logits(self, hidden: Tensor) -> Tensor:
        """Return (..., vocab_size) logits of (..., d_model) hidden states."""
        return F.linear(hidden, self.output_weight)

    @property
    def output_weight(self) -> Tensor:
        """(vocab_size, d_model) weights of the output layer: those of the embedding where it is tied."""
        return self.embed.weight if self.head is None else self.head.weight

    # --- Counting --------------------------------------------------------------------------------------------

    def num_parameters(self, exclude_embeddings: bool = False) -> int:
        """Return the number of weights; a tied output layer counts once.

        Args:
            exclude_embeddings: Whether to leave out the embedding (and an untied output layer).
        """
        total = sum(p.numel() for p in self.parameters())
        if not exclude_embeddings:
            return total
        return total - self.embed.weight.numel() - (0 if self.head is None else self.head.weight.numel())

    @property
    def non_embedding_parameters(self) -> int:
        """Number of weights outside the embedding and the output layer."""
        return self.num_parameters(exclude_embeddings=True)

    def prunable(self) -> dict[str, nn.Linear]:
        """Return the linear layers inside the blocks by name: their ``weight`` is what pruning may remove."""
        return {
            f"blocks.{name}": module
            for name, module in self.blocks.named_modules()
            if isinstance(module, nn.Linear)
        }

    @property
    def prunable_parameters(self) -> int:
        """Number of weights in :meth:`prunable`."""
        return sum(module.weight.numel() for module in self.prunable().values())

    # --- Other ways to write it ------------------------------------------------------------------------------

    def to_hf(self) -> Any:
        """Return the same model as ``transformers.LlamaForCausalLM``: see :func:`huggingface.to_hf`."""
        from broadsheet.methods._shared.tiny_lm.huggingface import to_hf

        return to_hf(self)

    @classmethod
    def from_hf(cls, model: Any) -> TinyLM:
        """Return a ``transformers.LlamaForCausalLM`` as this class: see :func:`huggingface.from_hf`."""
        from broadsheet.methods._shared.tiny_lm.huggingface import from_hf

        return from_hf(model)


def _layers(
    config: TinyLMConfig, per_layer: Sequence[Mapping[str, Any]] | None
) -> list[tuple[TinyLMConfig, Mapping[str, Any]]]:
    """Return each layer's shape and what was given for it."""
    if per_layer is None:
        return [(config, {})] * config.layers
    if len(per_layer) != config.layers:
        raise ValueError(f"per_layer must have one entry per layer ({config.layers}), got {len(per_layer)}")
    may_differ = {"heads", "d_ff", "d_head", "kv_heads"}
    found = []
    for layer, given in enumerate(per_layer):
        if unknown := set(given) - may_differ - {"mixer", "ffn"}:
            known = ", ".join(sorted(may_differ | {"mixer", "ffn"}))
            raise ValueError(f"per_layer[{layer}] may hold {known}, got {', '.join(sorted(unknown))}")
        fields = {name: value for name, value in given.items() if name in may_differ}
        if "heads" in fields and "kv_heads" not in fields:
            fields["kv_heads"] = 0
        # A head keeps the model's width where it is not given: layers differ in the number of heads.
        found.append((dataclasses.replace(config, **fields), given))
    return found


def _key(seed: int, name: str) -> int:
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big")


def _normal(weight: Tensor, deviation: float, seed: int, name: str) -> None:
    generator = torch.Generator().manual_seed(_key(seed, name))
    weight.normal_(0.0, deviation, generator=generator)
