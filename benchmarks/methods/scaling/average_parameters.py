"""Time the pruner against a plain training step, and its global cut against torch.nn.utils.prune.

Run: python benchmarks/methods/scaling/average_parameters.py [--repeats 7] [--batches 8 32]

1. The global cut: GradualMagnitudePruner's masks against prune.global_unstructured(L1Unstructured) on the same
   weights at the same sparsity; the masks are compared first.
2. The overhead of the pruner per training step at frequency 100, on a model of 10 million parameters: steps with and
   without masks in turn, plus a hundredth of an event.
All in this process, in turn; times are given as ratios of medians.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import copy
import statistics
import time

import torch
from torch.nn.utils import prune

from broadsheet.methods._shared.tiny_lm import TinyLM, TinyLMConfig
from broadsheet.methods.scaling.average_parameters import GradualMagnitudePruner
from broadsheet.methods.scaling.average_parameters.masks import find_prunable


def model_of(millions):
    """A tiny_lm of about that many million parameters."""
    shape = TinyLMConfig(vocab_size=1024, d_model=384, heads=6, layers=round(millions / 1.77), d_ff=1024)
    return TinyLM(shape, seed=0)


def timed(work):
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def cut(pruner, weights, keep):
    """One event of the pruner on dense weights."""
    for one, weight in zip(pruner._prunable, weights, strict=True):
        one.weight.data.copy_(weight)
        one.mask.live.fill_(True)
    return timed(lambda: pruner._prune(0, keep))


def global_unstructured(layers, sparsity):
    """The same by torch.nn.utils.prune; returns the time and the masks, and leaves the layers dense."""
    seconds = timed(lambda: prune.global_unstructured(layers, prune.L1Unstructured, amount=sparsity))
    masks = [layer.weight_mask.bool() for layer, _ in layers]
    for layer, _ in layers:
        kept = layer.weight_orig.detach().clone()
        prune.remove(layer, "weight")
        layer.weight.data.copy_(kept)
    return seconds, masks


def race_cut(model, sparsity, repeats):
    mine, other = copy.deepcopy(model), copy.deepcopy(model)
    pruner = GradualMagnitudePruner(sparsity, frequency=1).attach(mine, total_steps=100)
    layers = [(one.layers[0], "weight") for one in find_prunable(other, ("embed", "lm_head"))]
    weights = [layer.weight.detach().clone() for layer, _ in layers]
    ours, theirs, differ = [], [], 0
    for turn in range(repeats + 1):
        ours.append(cut(pruner, weights, 1.0 - sparsity))
        seconds, masks = global_unstructured(layers, sparsity)
        theirs.append(seconds)
        if turn == 0:
            both = zip(pruner._prunable, masks, strict=True)
            differ = sum(int((one.mask.live != mask).sum()) for one, mask in both)
    mine_s, other_s = statistics.median(ours[1:]), statistics.median(theirs[1:])
    print(
        f"global cut of {pruner.dense_parameters / 1e6:.1f} M weights to {1 - sparsity:.0%}: {other_s / mine_s:5.1f} x "
        f"faster than prune.global_unstructured ({1e3 * mine_s:.0f} vs {1e3 * other_s:.0f} ms); "
        f"masks differ at {differ} weights"
    )
    return mine_s


def race_step(model, batch, event_s, repeats):
    """Whole training steps with masks and without, in turn."""
    plain, masked = copy.deepcopy(model), copy.deepcopy(model)
    pruner = GradualMagnitudePruner(0.5, frequency=1).attach(masked, total_steps=1000)
    pruner._prune(0, 0.5)
    steps = {}
    for name, one in (("plain", plain), ("masked", masked)):
        optimizer = torch.optim.AdamW(one.parameters(), lr=1e-4, fused=True)

        def step(one=one, optimizer=optimizer):
            ids = torch.randint(1024, (batch, 128), generator=torch.Generator().manual_seed(0))
            one(ids, labels=ids).loss.backward()
            optimizer.step()
            optimizer.zero_grad()

        steps[name] = step
        step()
    taken = {name: [] for name in steps}
    for _ in range(repeats):
        for name, step in steps.items():
            taken[name].append(timed(step))
    # Noise of a step is larger than what is looked for: pairs in turn, and the median of their ratios.
    ratios = [m / p for m, p in zip(taken["masked"], taken["plain"], strict=True)]
    step_s = statistics.median(taken["plain"])
    overhead = statistics.median(ratios) - 1.0 + event_s / 100 / step_s
    print(
        f"overhead per step of {batch} x 128 tokens at frequency 100: {100 * overhead:4.1f} % of {1e3 * step_s:.0f} ms "
        f"(masks {100 * (statistics.median(ratios) - 1):.1f} %, events {event_s / step_s:.2f} %)"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 32])
    options = parser.parse_args()
    torch.set_num_threads(1)
    made = model_of(10)
    print(f"model of {made.num_parameters() / 1e6:.1f} M parameters")
    event = max(race_cut(made, sparsity, options.repeats) for sparsity in (0.5, 0.75))
    for size in options.batches:
        race_step(made, size, event, options.repeats)
