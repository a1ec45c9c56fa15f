"""Small next-token networks, many of them trained at once.

A member reads the last ``context`` tokens, embeds them, passes them through one hidden layer and predicts the
next token (Bengio et al. 2003, with a rectifier). It learns about as fast as a machine can multiply, so that
tuning, ensembling and mixing data can be studied in minutes::

    shape = NgramShape(vocab_size=80, context=8, embedding=16, width=64)
    trained = train_members(shape, tokens, epochs=[8, 16], weight_decay=[0.1, 1.6], init_seeds=[0, 1])
    trained.losses(held_out)          # one validation loss per member, nats per token
    trained.module(0)                 # a torch module: (batch, time) token ids -> (batch, time, vocabulary) logits

All members of one call share shape and batch size. Initial values, data, order of the data, learning rate,
weight decay and number of epochs are each member's own. A member's result does not depend on which others are
trained beside it, but for rounding: sums run in batched matrix products.

Weight decay is decoupled (Loshchilov and Hutter 2019) as torch, optax and levanter do it: a step multiplies the
two weight matrices by ``1 - learning_rate(step) * weight_decay``. Embeddings and biases do not decay.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "DivergedError",
    "DomainMixture",
    "Members",
    "NgramMLP",
    "NgramShape",
    "StackedAdamW",
    "cosine_schedule",
    "train_members",
]

MATRICES = ("hidden.weight", "output.weight")
"""The parameters that decay."""
_CHUNK = 4096  # contexts evaluated at a time


class DivergedError(ArithmeticError):
    """The loss of a member is no longer a number; the message names member, step and learning rate."""


@dataclass(frozen=True)
class NgramShape:
    """The shape of a network, common to all members of a batch.

    Args:
        vocab_size: Number of tokens, >= 2; ids run from 0 to ``vocab_size - 1``.
        context: Number of tokens that it reads, >= 1.
        embedding: Width of a token's embedding, >= 1.
        width: Width of the hidden layer, >= 1.

    Raises:
        ValueError: if a number is too small.

    Example:
        >>> NgramShape(vocab_size=80, width=64).parameters
        14752
    """

    vocab_size: int
    context: int = 8
    embedding: int = 16
    width: int = 64

    def __post_init__(self) -> None:
        for name, least in (("vocab_size", 2), ("context", 1), ("embedding", 1), ("width", 1)):
            value = getattr(self, name)
            if not value >= least:
                raise ValueError(f"{name} must be at least {least}, got {value!r}")

    @property
    def sizes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each parameter by name. The last row of the embedding stands for "before the beginning"."""
        inputs = self.context * self.embedding
        return {
            "embedding.weight": (self.vocab_size + 1, self.embedding),
            "hidden.weight": (inputs, self.width),
            "hidden.bias": (self.width,),
            "output.weight": (self.width, self.vocab_size),
            "output.bias": (self.vocab_size,),
        }

    @property
    def parameters(self) -> int:
        """Number of parameters, embeddings included."""
        return sum(math.prod(size) for size in self.sizes.values())

    def initial(self, seed: int) -> dict[str, Tensor]:
        """Draw initial values: embeddings N(0, 1), matrices N(0, 1 / inputs), biases 0."""
        generator = torch.Generator().manual_seed(int(seed))
        values = {}
        for name, size in self.sizes.items():
            if name.endswith("bias"):
                values[name] = torch.zeros(size)
                continue
            spread = size[0] ** -0.5 if name in MATRICES else 1.0
            values[name] = torch.randn(size, generator=generator) * spread
        return values


class _Linear(nn.Module):
    """An affine map whose weight is stored (inputs, outputs), as the batched products need it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


class NgramMLP(nn.Module):
    """One network as a causal language model: the reference for the batched trainer, and a member to keep.

    Args:
        shape: Its shape.
        seed: Seed of the initial values.

    Example:
        >>> model = NgramMLP(NgramShape(vocab_size=5, context=3, embedding=2, width=4), seed=0)
        >>> model(torch.tensor([[0, 1, 2, 3]])).shape
        torch.Size([1, 4, 5])
    """

    def __init__(self, shape: NgramShape, seed: int = 0) -> None:
        super().__init__()
        self.shape = shape
        self.vocab_size = shape.vocab_size
        self.embedding = nn.Embedding(shape.vocab_size + 1, shape.embedding)
        self.hidden = _Linear(shape.context * shape.embedding, shape.width)
        self.output = _Linear(shape.width, shape.vocab_size)
        self.load_state_dict(shape.initial(seed))

    def forward(self, input_ids: Tensor) -> Tensor:
        """Return logits of the token after each position.

        Args:
            input_ids: Token ids, (batch, time).

        Returns:
            Logits, (batch, time, vocabulary); position t has read tokens t - context + 1 to t.
        """
        n = self.shape.context
        padded = F.pad(input_ids, (n - 1, 0), value=self.vocab_size)
        windows = padded.unfold(1, n, 1)
        x = self.embedding(windows).flatten(2)
        logits: Tensor = self.output(torch.relu(self.hidden(x)))
        return logits


# --- Data --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DomainMixture:
    """Training data of several domains, and how much of each every member sees.

    A member draws each example's domain by its weights, then takes the domain's next position in an order of its
    own: every position is seen once before any is seen twice.

    Args:
        domains: Token ids per domain, each a one-dimensional sequence.
        weights: Shares per member and domain, (members, domains), in the order of ``domains``; rows are
            normalised.

    Raises:
        ValueError: if shapes disagree, or a row is negative or zero throughout.
    """

    domains: Mapping[str, Tensor]
    weights: Tensor

    def __post_init__(self) -> None:
        weights = torch.as_tensor(self.weights, dtype=torch.float64)
        if weights.ndim != 2 or weights.shape[1] != len(self.domains):
            raise ValueError(
                f"weights must be (members, {len(self.domains)} domains), got shape {tuple(weights.shape)}"
            )
        bad = ~(torch.isfinite(weights).all(1) & (weights >= 0).all(1) & (weights.sum(1) > 0))
        if bad.any():
            row = int(bad.nonzero()[0, 0])
            raise ValueError(
                f"weights of a member must be >= 0 and not all 0, got {weights[row].tolist()} for member {row}"
            )
        object.__setattr__(self, "weights", weights / weights.sum(1, keepdim=True))


Tokens = Tensor | Sequence[int]


class _Store:
    """All streams behind one another, each led by ``context`` marks of the beginning."""

    def __init__(self, streams: Sequence[Tensor], shape: NgramShape) -> None:
        mark = torch.full((shape.context,), shape.vocab_size)
        self.flat = torch.cat([part for stream in streams for part in (mark, stream)])
        self.windows = self.flat.unfold(0, shape.context + 1, 1)  # window i: context, then its target
        starts, at = [], 0
        for stream in streams:
            starts.append(at)
            at += shape.context + len(stream)
        self.starts = starts
        self.lengths = [len(stream) for stream in streams]


def _stream(tokens: Tokens, shape: NgramShape, name: str) -> Tensor:
    stream = torch.as_tensor(tokens).long()
    if stream.ndim != 1 or len(stream) < 1:
        raise ValueError(
            f"{name} must be a one-dimensional sequence of token ids, got shape {tuple(stream.shape)}"
        )
    low, high = int(stream.min()), int(stream.max())
    if low < 0 or high >= shape.vocab_size:
        raise ValueError(
            f"{name} must hold ids from 0 to {shape.vocab_size - 1} (vocab_size {shape.vocab_size}), "
            f"got {low} to {high}"
        )
    return stream


def _passes(length: int, count: int, generator: torch.Generator) -> Tensor:
    """Return ``count`` positions: whole passes in fresh orders, the last one cut."""
    parts = [torch.randperm(length, generator=generator) for _ in range(-(-count // length))]
    return torch.cat(parts)[:count] if parts else torch.empty(0, dtype=torch.long)


def _order(store: _Store, streams: Sequence[int], weights: Tensor | None, count: int, seed: int) -> Tensor:
    """Return the windows that one member sees, in order."""
    generator = torch.Generator().manual_seed(int(seed))
    if weights is None:
        (stream,) = streams
        return store.starts[stream] + _passes(store.lengths[stream], count, generator)
    chosen = torch.multinomial(weights, count, replacement=True, generator=generator)
    order = torch.empty(count, dtype=torch.long)
    for domain, stream in enumerate(streams):
        here = (chosen == domain).nonzero()[:, 0]
        order[here] = store.starts[stream] + _passes(store.lengths[stream], len(here), generator)
    return order


# --- Training ----------------------------------------------------------------------------------------------


def cosine_schedule(step: int, total: Tensor, warmup: float = 0.01, floor: float = 0.0) -> Tensor:
    """Return the learning rate's factor at a step, one per member.

    Args:
        step: Steps done so far, >= 0.
        total: Steps of each member, (members,).
        warmup: Share of the steps over which the rate rises linearly.
        floor: Factor at the end of the cosine.

    Returns:
        Factors in [0, 1], (members,).
    """
    rise = torch.clamp((warmup * total).ceil(), min=1.0)
    along = torch.clamp((step - rise) / torch.clamp(total - rise, min=1.0), 0.0, 1.0)
    fall = floor + (1.0 - floor) * 0.5 * (1.0 + torch.cos(math.pi * along))
    return torch.where(step < rise, (step + 1) / rise, fall)


class StackedAdamW:
    """AdamW over parameters with a leading axis of members, each with its own rate, decay and clipping.

    Args:
        parameters: Stacked parameters by name, (members, …); changed in place.
        decays: Names of the parameters that decay.
        weight_decay: Decay of each member, (members,).
        betas: Decay rates of the two moments.
        eps: Added to the root of the second moment.
        clip: Largest norm of a member's gradient over all parameters, or None.

    Source:
        Loshchilov and Hutter 2019, Algorithm 2, as ``torch.optim.AdamW`` computes it.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        decays: Sequence[str],
        weight_decay: Tensor,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        clip: float | None = 1.0,
    ) -> None:
        self.parameters = dict(parameters)
        self.decays = frozenset(decays)
        self.weight_decay, self.betas, self.eps, self.clip = weight_decay, betas, eps, clip
        self._first = {name: torch.zeros_like(p) for name, p in parameters.items()}
        self._second = {name: torch.zeros_like(p) for name, p in parameters.items()}
        self._steps = 0

    @torch.no_grad()
    def step(self, gradients: Mapping[str, Tensor], rate: Tensor) -> None:
        """Take one step with the first ``len(rate)`` members.

        Args:
            gradients: Gradients by name, (active members, …).
            rate: Learning rate of each active member.
        """
        self._steps += 1
        active = len(rate)
        one, two = (1.0 - beta**self._steps for beta in self.betas)
        factor = self._clip_factor(gradients)
        for name, gradient in gradients.items():
            wide = (active,) + (1,) * (gradient.ndim - 1)
            if factor is not None:
                gradient = gradient * factor.view(wide)
            value = self.parameters[name][:active]
            first, second = self._first[name][:active], self._second[name][:active]
            first.lerp_(gradient, 1.0 - self.betas[0])
            second.mul_(self.betas[1]).addcmul_(gradient, gradient, value=1.0 - self.betas[1])
            if name in self.decays:
                value.mul_((1.0 - rate * self.weight_decay[:active]).view(wide))
            root = second.sqrt().mul_(two**-0.5).add_(self.eps)
            value.addcmul_(first.div(root), (-rate / one).view(wide))

    def _clip_factor(self, gradients: Mapping[str, Tensor]) -> Tensor | None:
        if self.clip is None:
            return None
        squares = torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients.values()])
        return torch.clamp(self.clip / (torch.linalg.vector_norm(squares, dim=0) + 1e-6), max=1.0)


def _forward(p: Mapping[str, Tensor], contexts: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return embedded inputs, hidden layer and logits, each (members, batch, …); ``rows`` as in the embedding."""
    members, batch, _ = contexts.shape
    x = F.embedding(rows, p["embedding.weight"].flatten(0, 1)).view(members, batch, -1)
    hidden = torch.baddbmm(p["hidden.bias"].unsqueeze(1), x, p["hidden.weight"]).relu_()
    return x, hidden, torch.baddbmm(p["output.bias"].unsqueeze(1), hidden, p["output.weight"])


def _rows(p: Mapping[str, Tensor], contexts: Tensor) -> Tensor:
    members, height, _ = p["embedding.weight"].shape
    return contexts + height * torch.arange(members).view(-1, 1, 1)


def _gradients(
    p: Mapping[str, Tensor], contexts: Tensor, targets: Tensor
) -> tuple[dict[str, Tensor], Tensor]:
    """Return gradients of each member's mean loss, and the losses. By hand: autograd costs as much again."""
    rows = _rows(p, contexts)
    x, hidden, logits = _forward(p, contexts, rows)
    log_p = F.log_softmax(logits, dim=-1)
    at = targets.unsqueeze(-1)
    losses = -log_p.gather(-1, at).mean((1, 2))
    error = log_p.exp_()
    error.scatter_add_(-1, at, torch.full(at.shape, -1.0))
    error.div_(targets.shape[1])
    back = torch.bmm(error, p["output.weight"].transpose(1, 2)).mul_(hidden > 0)
    into = torch.bmm(back, p["hidden.weight"].transpose(1, 2))
    width = p["embedding.weight"].shape[-1]
    table = torch.zeros(p["embedding.weight"].shape)
    table.view(-1, width).index_add_(0, rows.flatten(), into.view(-1, width))
    gradients = {
        "embedding.weight": table,
        "hidden.weight": torch.bmm(x.transpose(1, 2), back),
        "hidden.bias": back.sum(1),
        "output.weight": torch.bmm(hidden.transpose(1, 2), error),
        "output.bias": error.sum(1),
    }
    return gradients, losses


@dataclass(frozen=True)
class Members:
    """Trained members.

    Args:
        shape: Their common shape.
        parameters: Parameters by name, (members, …), in the order in which the members were asked for.
        train_loss: Mean loss over the last tenth of each member's steps, nats per token, (members,).
        steps: Steps of each member, (members,).
    """

    shape: NgramShape
    parameters: Mapping[str, Tensor]
    train_loss: Tensor
    steps: Tensor

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, chosen: Sequence[int] | slice) -> Members:
        """Return some of the members."""
        index = torch.arange(len(self))[chosen]
        parts = {name: value[index] for name, value in self.parameters.items()}
        return Members(self.shape, parts, self.train_loss[index], self.steps[index])

    @classmethod
    def join(cls, parts: Sequence[Members]) -> Members:
        """Return the members of several batches of one shape as one.

        Raises:
            ValueError: if ``parts`` is empty or shapes differ.
        """
        if not parts or any(part.shape != parts[0].shape for part in parts):
            raise ValueError(f"parts must be batches of one shape, got {[part.shape for part in parts]}")
        values = {name: torch.cat([p.parameters[name] for p in parts]) for name in parts[0].parameters}
        return cls(
            parts[0].shape,
            values,
            torch.cat([p.train_loss for p in parts]),
            torch.cat([p.steps for p in parts]),
        )

    def module(self, member: int) -> NgramMLP:
        """Return one member as a torch module of its own."""
        model = NgramMLP(self.shape)
        model.load_state_dict({name: value[member].clone() for name, value in self.parameters.items()})
        return model.eval()

    def logits(self, tokens: Tokens) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield logits and targets over a text, some thousand positions at a time.

        Args:
            tokens: Token ids, one-dimensional; every token is predicted from those before it.

        Yields:
            Logits (members, positions, vocabulary) and targets (positions,).

        Raises:
            ValueError: if ``tokens`` has an id outside the vocabulary.
        """
        store = _Store([_stream(tokens, self.shape, "tokens")], self.shape)
        for windows in torch.split(store.windows, _CHUNK):
            with torch.no_grad():
                contexts = windows[:, :-1].expand(len(self), -1, -1)
                yield _forward(self.parameters, contexts, _rows(self.parameters, contexts))[2], windows[:, -1]

    @torch.no_grad()
    def next_logits(self, contexts: Tensor) -> Tensor:
        """Return each member's logits of the token after a context.

        Args:
            contexts: Token ids, (batch, context).

        Returns:
            Logits, (members, batch, vocabulary).
        """
        wide = contexts.expand(len(self), -1, -1)
        return _forward(self.parameters, wide, _rows(self.parameters, wide))[2]

    @overload
    def losses(self, tokens: Tokens) -> Tensor: ...

    @overload
    def losses(self, tokens: Mapping[str, Tokens]) -> dict[str, Tensor]: ...

    def losses(self, tokens: Tokens | Mapping[str, Tokens]) -> Tensor | dict[str, Tensor]:
        """Return each member's mean loss on a validation text, or on several.

        Args:
            tokens: Token ids, or token ids by name.

        Returns:
            Nats per token, (members,); a dict of such for a mapping.
        """
        if isinstance(tokens, Mapping):
            return {name: self._losses(part) for name, part in tokens.items()}
        return self._losses(tokens)

    def _losses(self, tokens: Tokens) -> Tensor:
        total, count = torch.zeros(len(self), dtype=torch.float64), 0
        for logits, targets in self.logits(tokens):
            at = targets.expand(len(self), -1).unsqueeze(-1)
            picked = logits.gather(-1, at).squeeze(-1) - logits.logsumexp(-1)
            total -= picked.sum(1, dtype=torch.float64)
            count += len(targets)
        return total / count


def train_members(
    shape: NgramShape,
    data: Tokens | Sequence[Tensor] | DomainMixture,
    *,
    epochs: float | Sequence[float] | None = None,
    steps: int | Sequence[int] | None = None,
    learning_rate: float | Sequence[float] = 3e-3,
    weight_decay: float | Sequence[float] = 0.1,
    init_seeds: Sequence[int] = (0,),
    order_seeds: Sequence[int] | None = None,
    batch: int = 128,
    warmup: float = 0.01,
    floor: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.95),
    clip: float | None = 1.0,
) -> Members:
    """Train many members at once.

    Members are counted by ``init_seeds``; every other setting is one value for all or one per member.

    Args:
        shape: Their common shape.
        data: Token ids for all (one-dimensional), a list of one stream per member, or a
            :class:`DomainMixture` with one row of weights per member.
        epochs: Passes over a member's data, > 0 (over all domains' tokens together for a mixture).
        steps: Number of steps instead of ``epochs``; exactly one of the two is given.
        learning_rate: Peak rate, > 0: linear warm-up, then a cosine to ``floor`` times the peak.
        weight_decay: Decoupled decay of the two weight matrices, >= 0.
        init_seeds: Seed of each member's initial values.
        order_seeds: Seed of each member's order of data; the same as ``init_seeds`` where it is not given.
        batch: Examples per step, each one token with its context.
        warmup: Share of the steps over which the rate rises.
        floor: Last learning rate as a share of the peak.
        betas: Decay rates of AdamW's moments.
        clip: Largest gradient norm of a member, or None.

    Returns:
        The trained members, in the order of ``init_seeds``.

    Raises:
        ValueError: if a setting is out of range or has the wrong length, before anything is trained.
        DivergedError: if a member's loss is no longer a number.

    Example:
        >>> shape = NgramShape(vocab_size=3, context=2, embedding=4, width=8)
        >>> trained = train_members(shape, [0, 1, 2] * 50, epochs=40, batch=16, init_seeds=[0, 1])
        >>> bool((trained.losses([0, 1, 2] * 10) < 0.1).all())
        True
    """
    count = len(init_seeds)
    if count < 1:
        raise ValueError("init_seeds must name at least one member, got none")
    if batch < 1:
        raise ValueError(f"batch must be at least 1, got {batch!r}")
    orders = _each(order_seeds if order_seeds is not None else init_seeds, count, "order_seeds")
    rates = _each(learning_rate, count, "learning_rate", above=0.0)
    decays = _each(weight_decay, count, "weight_decay", least=0.0)
    store, streams, weights = _prepare(data, shape, count)
    totals = _totals(epochs, steps, [sum(store.lengths[s] for s in part) for part in streams], batch, count)
    # Longest first: those that are done fall off the end of every tensor.
    rank = sorted(range(count), key=lambda k: -totals[k])
    seen = [
        _order(store, streams[k], None if weights is None else weights[k], totals[k] * batch, int(orders[k]))
        for k in rank
    ]
    drawn = [shape.initial(init_seeds[k]) for k in rank]
    parameters = {name: torch.stack([values[name] for values in drawn]) for name in shape.sizes}
    optimiser = StackedAdamW(parameters, MATRICES, decays[rank], betas, clip=clip)
    total = torch.tensor([totals[k] for k in rank])
    last = _run(store, seen, parameters, optimiser, rates[rank], total, batch, (warmup, floor))
    back = torch.empty(count, dtype=torch.long)
    back[rank] = torch.arange(count)
    return Members(shape, {name: p[back] for name, p in parameters.items()}, last[back], total[back])


def _run(
    store: _Store,
    seen: Sequence[Tensor],
    parameters: Mapping[str, Tensor],
    optimiser: StackedAdamW,
    rates: Tensor,
    total: Tensor,
    batch: int,
    schedule: tuple[float, float],
) -> Tensor:
    """Take all steps, longest members first, and return the mean loss over the last tenth of each."""
    sums, counts = torch.zeros(len(total)), torch.zeros(len(total))
    late = total - torch.clamp(total // 10, min=1)
    active = len(total)
    with torch.no_grad():
        for step in range(int(total[0])):
            while total[active - 1] <= step:
                active -= 1
            index = torch.stack([order[step * batch : (step + 1) * batch] for order in seen[:active]])
            windows = store.windows[index]
            working = {name: p[:active] for name, p in parameters.items()}
            gradients, losses = _gradients(working, windows[..., :-1], windows[..., -1])
            rate = rates[:active] * cosine_schedule(step, total[:active], *schedule)
            if step % 50 == 0 and not torch.isfinite(losses).all():
                raise _diverged(losses, step, rates)
            optimiser.step(gradients, rate)
            counted = (late[:active] <= step).float()
            sums[:active] += counted * losses
            counts[:active] += counted
    if not torch.isfinite(sums).all():
        raise _diverged(sums, int(total[0]), rates)
    return sums / counts


def _diverged(losses: Tensor, step: int, rates: Tensor) -> DivergedError:
    member = int((~torch.isfinite(losses)).nonzero()[0, 0])
    return DivergedError(
        f"the loss of a member is not a number by step {step}, at learning rate {float(rates[member]):g}: "
        "lower learning_rate, or set clip"
    )


def _each(
    given: float | Sequence[float],
    count: int,
    name: str,
    *,
    above: float | None = None,
    least: float | None = None,
) -> Tensor:
    """Return one value per member."""
    whole = name.endswith("seeds")
    values = torch.as_tensor(given, dtype=torch.long if whole else torch.float32)
    if values.ndim == 0:
        values = values.expand(count)
    if values.shape != (count,):
        raise ValueError(
            f"{name} must be one value or one per member ({count}, counted by init_seeds), got {tuple(values.shape)}"
        )
    if not whole:
        wrong = ~torch.isfinite(values)
        if above is not None:
            wrong |= values <= above
        if least is not None:
            wrong |= values < least
        if wrong.any():
            bound = f"> {above:g}" if above is not None else f">= {least:g}"
            raise ValueError(f"{name} must be finite and {bound}, got {float(values[wrong][0]):g}")
    return values


def _prepare(
    data: Tokens | Sequence[Tensor] | DomainMixture, shape: NgramShape, count: int
) -> tuple[_Store, list[list[int]], Tensor | None]:
    """Return all streams in one store, the streams of each member, and the weights of a mixture."""
    if isinstance(data, DomainMixture):
        if len(data.weights) != count:
            raise ValueError(
                f"data must have one row of weights per member ({count}), got {len(data.weights)}"
            )
        named = [_stream(tokens, shape, f"domain {name!r}") for name, tokens in data.domains.items()]
        return _Store(named, shape), [list(range(len(named)))] * count, data.weights
    if not isinstance(data, Tensor) and len(data) and not isinstance(data[0], int):
        if len(data) != count:
            raise ValueError(f"data must be one stream or one per member ({count}), got {len(data)} streams")
        listed = [_stream(part, shape, f"data[{k}]") for k, part in enumerate(data)]  # type: ignore[arg-type]
        return _Store(listed, shape), [[k] for k in range(count)], None
    return _Store([_stream(data, shape, "data")], shape), [[0]] * count, None  # type: ignore[arg-type]


def _totals(
    epochs: float | Sequence[float] | None,
    steps: int | Sequence[int] | None,
    lengths: Sequence[int],
    batch: int,
    count: int,
) -> list[int]:
    if (epochs is None) == (steps is None):
        raise ValueError(f"give epochs or steps, not both, got epochs={epochs!r}, steps={steps!r}")
    if steps is not None:
        return [int(value) for value in _each(steps, count, "steps", above=0.0)]
    passes = _each(epochs if epochs is not None else 1.0, count, "epochs", above=0.0)
    return [
        max(1, round(float(value) * length / batch)) for value, length in zip(passes, lengths, strict=True)
    ]
