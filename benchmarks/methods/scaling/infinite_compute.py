"""Time members trained at once against the loop that a user would write, and an asymptote against curve_fit.

Run: python benchmarks/methods/scaling/infinite_compute.py [--members 8] [--steps 150] [--repeats 5]

Both sides train the same members (initial values, order of data, settings), in this process, in turn. Times are
given as ratios of medians; the largest difference of the members' final losses stands beside them.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import statistics
import time

import numpy as np
import torch
from scipy.optimize import curve_fit
from torch import nn
from torch.nn import functional as F

from broadsheet.methods._shared.ngram_mlp import NgramMLP, NgramShape, cosine_schedule, train_members
from broadsheet.methods.scaling.infinite_compute import LogitEnsemble, fit_asymptote, train_ensemble
from broadsheet.methods.scaling.infinite_compute.training import _feed, _pieces

BATCH, LR, DECAY = 128, 3e-3, 1.6


def timed(work):
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def race(title, ours, theirs, repeats, gap):
    """Run both in turn and print the ratio of their median times."""
    ours(), theirs()
    mine, other = [], []
    for _ in range(repeats):
        seconds, a = timed(ours)
        mine.append(seconds)
        seconds, b = timed(theirs)
        other.append(seconds)
    m, o = statistics.median(mine), statistics.median(other)
    print(
        f"{title:<58} {o / m:6.1f} x   {1e3 * m:8.1f} ms vs {1e3 * o:8.1f} ms   largest gap {gap(a, b):.1e}"
    )


def stepped(optimiser, loss, model, step, steps):
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    factor = float(cosine_schedule(step, torch.tensor([steps]))[0])
    for group in optimiser.param_groups:
        group["lr"] = LR * factor
    optimiser.step()


def adamw(decaying, free):
    groups = [{"params": decaying, "weight_decay": DECAY}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=LR, betas=(0.9, 0.95))


def ngram_loop(shape, tokens, members, steps):
    """Members one after the other: a module, autograd, torch.optim.AdamW."""
    n = shape.context
    windows = F.pad(tokens, (n, 0), value=shape.vocab_size).unfold(0, n + 1, 1)
    models = []
    for seed in range(members):
        model = NgramMLP(shape, seed)
        generator = torch.Generator().manual_seed(seed)
        passes = -(-steps * BATCH // len(tokens))
        order = torch.cat([torch.randperm(len(tokens), generator=generator) for _ in range(passes)])
        optimiser = adamw(
            [model.hidden.weight, model.output.weight],
            [model.embedding.weight, model.hidden.bias, model.output.bias],
        )
        for step in range(steps):
            chosen = windows[order[step * BATCH : (step + 1) * BATCH]]
            hidden = torch.relu(model.hidden(model.embedding(chosen[:, :-1]).flatten(1)))
            stepped(optimiser, F.cross_entropy(model.output(hidden), chosen[:, -1]), model, step, steps)
        models.append(model)
    return models


def losses_of(models, tokens):
    with torch.no_grad():
        return torch.stack([F.cross_entropy(m(tokens[None, :-1])[0], tokens[1:]) for m in models])


class Causal(nn.Module):
    """One attention layer and a feed-forward one: a small decoder."""

    def __init__(self, vocabulary=41, width=48):
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(2)])
        self.qkv, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.out = nn.Linear(width, vocabulary)

    def forward(self, input_ids):
        x = self.table(input_ids)
        q, k, v = self.qkv(self.norms[0](x)).chunk(3, -1)
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        x = x + self.join(scores.masked_fill(future, -torch.inf).softmax(-1) @ v)
        x = x + self.down(F.gelu(self.up(self.norms[1](x))))
        return self.out(x)


def decoder_loop(tokens, members, epochs, context):
    pieces = _pieces(tokens, context)
    steps = round(epochs * len(pieces) / 16)
    models = []
    for seed in range(members):
        torch.manual_seed(seed)
        model = Causal()
        tables = {id(model.table.weight)}
        decaying = [p for p in model.parameters() if p.ndim >= 2 and id(p) not in tables]
        free = [p for p in model.parameters() if p.ndim < 2 or id(p) in tables]
        optimiser = adamw(decaying, free)
        for step, chosen in enumerate(_feed(pieces, steps, 16, seed)):
            loss = F.cross_entropy(model(chosen[:, :-1]).flatten(0, 1), chosen[:, 1:].flatten())
            stepped(optimiser, loss, model, step, steps)
        models.append(model)
    return models


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--repeats", type=int, default=5, help="times each side is run (default 5)")
    given = parser.parse_args()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    k = given.members
    # Text with structure: noise alone would teach nothing, and differences would hide in it.
    steps = torch.randint(0, 4, (6000,), generator=torch.Generator().manual_seed(0)) ** 2
    tokens = steps.cumsum(0) % 41
    train, held_out = tokens[:5000], tokens[5000:]

    def gap(ours, theirs):
        return float((losses_of(ours, held_out) - losses_of(theirs, held_out)).abs().max())

    print(
        f"the loop / ours, median times, {k} members, {torch.get_num_threads()} thread(s); larger is better for ours\n"
    )
    for width in (16, 32, 64, 128, 1024):
        shape = NgramShape(41, width=width)

        def ours(shape=shape):
            trained = train_members(
                shape,
                train,
                steps=given.steps,
                learning_rate=LR,
                weight_decay=DECAY,
                init_seeds=list(range(k)),
                batch=BATCH,
            )
            return [trained.module(i) for i in range(k)]

        def theirs(shape=shape):
            return ngram_loop(shape, train, k, given.steps)

        race(
            f"next-token network, width {width}, {shape.parameters:,} parameters",
            ours,
            theirs,
            given.repeats,
            gap,
        )

    settings = {"epochs": 2, "context": 24}
    size = sum(p.numel() for p in Causal().parameters())

    def stacked():
        return train_ensemble(Causal, train, k, lr=LR, weight_decay=DECAY, **settings)

    def looped():
        return decoder_loop(train, k, **settings)

    race(f"decoder of one layer by vmap, {size:,} parameters", stacked, looped, given.repeats, gap)

    members = LogitEnsemble(stacked())
    fast = LogitEnsemble(list(members.models)).stack()

    def apart(a, b):
        return float((a - b).abs().max())

    for name, text in (
        ("one text of 24", held_out[None, :24]),
        ("40 texts of 24", held_out[:960].view(40, 24)),
    ):
        with torch.no_grad():
            race(
                f"the decoders' prediction stacked, {name}",
                lambda text=text: fast(text).logits,
                lambda text=text: members(text).logits,
                20,
                apart,
            )

    x = np.arange(1.0, 9.0)
    y = 3.0 + 0.3 / x**0.9 + np.random.default_rng(0).normal(0, 1e-3, 8)

    def fitted():
        return fit_asymptote(x, y).E

    def by_scipy():
        return curve_fit(lambda x, A, a, E: A / x**a + E, x, y, p0=[1.0, 0.5, 2.0], bounds=(0, np.inf))[0][2]

    race("asymptote with interval, against curve_fit without", fitted, by_scipy, 20, lambda a, b: abs(a - b))


if __name__ == "__main__":
    main()
