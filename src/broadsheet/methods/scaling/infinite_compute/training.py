"""Training of members on fixed data, and of one student on what they say."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from broadsheet.methods._shared.ngram_mlp import DivergedError, StackedAdamW, cosine_schedule
from broadsheet.methods.scaling.infinite_compute.ensemble import logits_of

__all__ = ["distill", "sample_text", "train_ensemble"]

Vary = Literal["both", "init", "order"]


def train_ensemble(
    make_model: Callable[[], nn.Module],
    data: Tensor | Sequence[int],
    k: int = 8,
    *,
    epochs: float = 8,
    lr: float = 3e-3,
    weight_decay: float = 1.6,
    seeds: Sequence[int] | None = None,
    vary: Vary = "both",
    context: int = 128,
    batch: int = 16,
    warmup: float = 0.01,
    clip: float | None = 1.0,
    stacked: bool = True,
) -> list[nn.Module]:
    """Train members that differ in initial values, in the order of data, or in both.

    Weight decay is decoupled: a step multiplies weights by ``1 - lr(step) * weight_decay``. It acts on matrices,
    not on embeddings, norms and biases.

    Args:
        make_model: Returns a fresh causal language model: token ids (batch, time) to logits, or to an output
            with ``.logits``. It is called under each member's seed.
        data: Token ids, one-dimensional, of at least one context; cut into pieces of ``context`` tokens.
        k: Number of members, >= 1.
        epochs: Passes over the data, > 0.
        lr: Peak learning rate of AdamW, > 0: warm-up, then a cosine to 0.
        weight_decay: Decay, >= 0.
        seeds: One per member; 0 to k - 1 where they are not given.
        vary: What of a member its seed decides; the rest is that of the first seed.
        context: Tokens of a piece, >= 1.
        batch: Pieces per step.
        warmup: Share of the steps over which the rate rises.
        clip: Largest gradient norm of a member, or None.
        stacked: Train all at once by ``torch.func.vmap``; otherwise one after the other. Models that ``vmap``
            cannot map (some of Hugging Face's) need False.

    Returns:
        The members, in evaluation mode.

    Raises:
        ValueError: if a setting is out of range or the data are too short.
        DivergedError: if a loss is no longer a number.

    Example:
        >>> def make_model():
        ...     return nn.Sequential(nn.Embedding(3, 8), nn.Linear(8, 3))
        >>> members = train_ensemble(make_model, [0, 1, 2] * 40, k=2, epochs=30, context=6, batch=4)
        >>> members[1](torch.tensor([[0, 1, 2]])).argmax(-1)
        tensor([[1, 2, 0]])
    """
    seeds = list(range(k)) if seeds is None else [int(seed) for seed in seeds]
    if k < 1 or len(seeds) != k:
        raise ValueError(f"seeds must be one per member (k={k}, at least 1), got {len(seeds)}")
    if vary not in ("both", "init", "order"):
        raise ValueError(f"vary must be 'both', 'init' or 'order', got {vary!r}")
    pieces = _pieces(data, context)
    inits = seeds if vary != "order" else [seeds[0]] * k
    orders = seeds if vary != "init" else [seeds[0]] * k
    models = [_made(make_model, seed) for seed in inits]
    steps = _steps(epochs, len(pieces), batch)
    settings = _Settings(lr, weight_decay, warmup, clip)
    if stacked and k > 1:
        _fit(models, [_feed(pieces, steps, batch, seed) for seed in orders], steps, settings)
    else:
        for model, seed in zip(models, orders, strict=True):
            _fit([model], [_feed(pieces, steps, batch, seed)], steps, settings)
    return models


def sample_text(
    teacher: nn.Module,
    tokens: int,
    *,
    start: Tensor,
    context: int = 128,
    temperature: float = 1.0,
    streams: int = 64,
    seed: int = 0,
) -> Tensor:
    """Draw text from a model without a prompt.

    Args:
        teacher: A causal language model or a :class:`LogitEnsemble`.
        tokens: Number of tokens to draw, >= 1.
        start: Token ids of which each stream begins with one, drawn at random: real text, or the id of a
            beginning-of-text token. It is not part of what is returned.
        context: Tokens that the model reads, at most.
        temperature: Divides the logits, > 0.
        streams: Texts drawn side by side.
        seed: Seed of the draw.

    Returns:
        Token ids, (streams, tokens / streams rounded up).

    Source:
        Section on distillation: unconditional samples at temperature 1.
    """
    if tokens < 1 or streams < 1:
        raise ValueError(f"tokens and streams must be at least 1, got {tokens!r} and {streams!r}")
    if not temperature > 0:
        raise ValueError(f"temperature must be > 0, got {temperature!r}")
    generator = torch.Generator().manual_seed(seed)
    pool = torch.as_tensor(start).flatten().long()
    text = pool[torch.randint(len(pool), (streams, 1), generator=generator)]
    teacher.eval()
    with torch.no_grad():
        for _ in range(math.ceil(tokens / streams)):
            logits = logits_of(teacher(text[:, -context:]))[:, -1] / temperature
            drawn = torch.multinomial(logits.softmax(-1), 1, generator=generator)
            text = torch.cat([text, drawn], 1)
    return text[:, 1:]


def distill(
    teacher: nn.Module,
    student: nn.Module,
    tokens: Tensor | Sequence[int],
    *,
    mix: float = 0.5,
    synthetic: Tensor | int | None = None,
    epochs: float = 16,
    lr: float = 3e-3,
    weight_decay: float = 0.1,
    context: int = 128,
    batch: int = 16,
    warmup: float = 0.01,
    clip: float | None = 1.0,
    seed: int = 0,
) -> nn.Module:
    """Train a student on real text and on text drawn from a teacher.

    Weight decay goes back to its usual 0.1: the drawn text is the regulariser.

    Args:
        teacher: A model or a :class:`LogitEnsemble`; it is only drawn from.
        student: The model to train, changed in place.
        tokens: Real token ids, one-dimensional.
        mix: Share of a batch's pieces that are real, in [0, 1]. Without real text a student of its own size
            loses what it had.
        synthetic: Drawn token ids (streams, time), or how many to draw; four times the real ones where it is not
            given.
        epochs: Passes over the real pieces (steps are ``epochs`` times real pieces over ``batch * mix``).
        lr: Peak learning rate.
        weight_decay: Decoupled decay of matrices.
        context: Tokens of a piece.
        batch: Pieces per step.
        warmup: Share of the steps over which the rate rises.
        clip: Largest gradient norm, or None.
        seed: Seed of draws and order.

    Returns:
        The student, in evaluation mode.

    Raises:
        ValueError: if a setting is out of range or a text too short.

    Source:
        Section on distillation.
    """
    if not 0.0 <= mix <= 1.0:
        raise ValueError(f"mix must lie between 0 and 1 (share of real text), got {mix!r}")
    real = _pieces(tokens, context)
    drawn = real[:0]
    if mix < 1.0:
        if not isinstance(synthetic, Tensor):
            wanted = 4 * torch.as_tensor(tokens).numel() if synthetic is None else int(synthetic)
            streams = max(1, min(64, wanted // (context + 1)))
            start = torch.as_tensor(tokens)
            synthetic = sample_text(teacher, wanted, start=start, context=context, streams=streams, seed=seed)
        drawn = torch.cat(
            [_pieces(row, context, "synthetic") for row in synthetic.reshape(-1, synthetic.shape[-1])]
        )
    of_real = round(mix * batch)
    of_drawn = batch - of_real
    if (mix > 0.0 and of_real == 0) or (mix < 1.0 and of_drawn == 0):
        raise ValueError(f"batch must hold a piece of both kinds at mix={mix}, got batch={batch}")
    steps = _steps(epochs, len(real), max(of_real, 1) if mix > 0 else batch)
    feeds = [
        _feed(part, steps, n, seed + i)
        for i, (part, n) in enumerate(((real, of_real), (drawn, of_drawn)))
        if n
    ]
    mixed = (torch.cat(parts) for parts in zip(*feeds, strict=True))
    _fit([student], [mixed], steps, _Settings(lr, weight_decay, warmup, clip))
    return student


# --- One loop for members and students ---------------------------------------------------------------------


class _Settings:
    """Settings of AdamW, checked."""

    def __init__(self, lr: float, weight_decay: float, warmup: float, clip: float | None) -> None:
        for name, value, good in (
            ("lr", lr, lr > 0),
            ("weight_decay", weight_decay, weight_decay >= 0),
            ("warmup", warmup, 0 <= warmup < 1),
            ("clip", clip, clip is None or clip > 0),
        ):
            if not good:
                raise ValueError(f"{name} is out of range, got {value!r}")
        self.lr, self.weight_decay, self.warmup, self.clip = lr, weight_decay, warmup, clip


def _made(make_model: Callable[[], nn.Module], seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make_model()


def _pieces(data: Tensor | Sequence[int], context: int, name: str = "data") -> Tensor:
    """Return (pieces, context + 1): each piece begins with the last token of the one before."""
    if context < 1:
        raise ValueError(f"context must be at least 1, got {context!r}")
    stream = torch.as_tensor(data).long()
    if stream.ndim != 1 or len(stream) < context + 1:
        raise ValueError(
            f"{name} must be one-dimensional and hold at least context + 1 = {context + 1} tokens, "
            f"got shape {tuple(stream.shape)}"
        )
    return stream.unfold(0, context + 1, context)


def _steps(epochs: float, pieces: int, batch: int) -> int:
    if not epochs > 0 or batch < 1:
        raise ValueError(f"epochs and batch must be positive, got {epochs!r} and {batch!r}")
    return max(1, round(epochs * pieces / batch))


def _feed(pieces: Tensor, steps: int, batch: int, seed: int) -> Iterator[Tensor]:
    """Yield batches: whole passes in fresh orders, one after the other."""
    generator = torch.Generator().manual_seed(seed)
    waiting: list[int] = []
    for _ in range(steps):
        while len(waiting) < batch:
            waiting += torch.randperm(len(pieces), generator=generator).tolist()
        chosen, waiting = waiting[:batch], waiting[batch:]
        yield pieces[chosen]


def _decaying(model: nn.Module) -> list[str]:
    """Return the names of matrices that are no embeddings."""
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    return [name for name, p in model.named_parameters() if p.ndim >= 2 and id(p) not in tables]


def _fit(
    models: Sequence[nn.Module], feeds: Sequence[Iterator[Tensor]], steps: int, settings: _Settings
) -> None:
    """Train models of one architecture at once, in place."""
    for model in models:
        model.train()
    parameters, buffers = torch.func.stack_module_state(list(models))
    parameters = {name: p.detach() for name, p in parameters.items()}
    gradient = _gradient(models[0], buffers)
    k = len(models)
    optimiser = StackedAdamW(
        parameters, _decaying(models[0]), torch.full((k,), float(settings.weight_decay)), clip=settings.clip
    )
    total, rates = torch.full((k,), steps), torch.full((k,), float(settings.lr))
    for step, batches in enumerate(zip(*feeds, strict=True)):
        gradients, losses = gradient(parameters, torch.stack(batches))
        if step % 20 == 0 and not torch.isfinite(losses).all():
            raise DivergedError(f"the loss is not a number by step {step} at lr={settings.lr:g}: lower lr")
        optimiser.step(gradients, rates * cosine_schedule(step, total, settings.warmup))
    if not all(torch.isfinite(p).all() for p in parameters.values()):
        raise DivergedError(f"weights are not numbers after {steps} steps at lr={settings.lr:g}: lower lr")
    for index, model in enumerate(models):
        model.load_state_dict({name: p[index] for name, p in parameters.items()}, strict=False)
        model.eval()


def _gradient(
    model: nn.Module, buffers: Mapping[str, Tensor]
) -> Callable[[dict[str, Tensor], Tensor], tuple[dict[str, Tensor], Tensor]]:
    """Return the gradient of all members' losses: mapped for several, autograd's own for one."""
    base = copy.deepcopy(model)

    def loss(parameters: dict[str, Tensor], held: dict[str, Tensor], batch: Tensor) -> Tensor:
        output = torch.func.functional_call(base, (parameters, held), (batch[:, :-1],))
        return F.cross_entropy(logits_of(output).flatten(0, 1), batch[:, 1:].flatten())

    def alone(parameters: dict[str, Tensor], batch: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        leaves = {name: p[0].requires_grad_() for name, p in parameters.items()}
        value = loss(leaves, {name: b[0] for name, b in buffers.items()}, batch[0])
        found = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
        pairs = zip(leaves.items(), found, strict=True)
        grads = {name: (torch.zeros_like(p) if g is None else g)[None] for (name, p), g in pairs}
        return grads, value.detach()[None]

    mapped: Any = torch.func.vmap(torch.func.grad_and_value(loss), randomness="different")

    def together(parameters: dict[str, Tensor], batch: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        if len(batch) == 1:
            return alone(parameters, batch)
        held = dict(buffers)
        found: tuple[dict[str, Tensor], Tensor] = mapped(parameters, held, batch)
        return found

    return together
