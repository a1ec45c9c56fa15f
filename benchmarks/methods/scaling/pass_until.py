"""Time HFSampler against looping ``model.generate(num_return_sequences=...)``, and count samples against fixed n.

Run: python benchmarks/methods/scaling/pass_until.py [--samples 4096] [--batch 256] [--repeats 5]

Both draw from the same tiny model at the same temperature, without top-k or top-p, in this process, in turn. Rates are
ratios of medians; the share of one answer stands beside them, because a fast wrong sampler is worth nothing.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import statistics
import time

import numpy as np
import torch

from broadsheet.methods.scaling import HFSampler, exact_pass_probability, pass_rate
from broadsheet.methods.scaling.generated_tasks import (
    LADDER,
    Addition,
    questions,
    symbol_tokenizer,
    trained_decoder,
)


def by_generate(model, tokenizer, prompt, count, batch, length):
    ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
    texts = []
    for begin in range(0, count, batch):
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            max_new_tokens=length,
            num_return_sequences=min(batch, count - begin),
        )
        texts += tokenizer.batch_decode(out[:, ids.shape[1] :], skip_special_tokens=True)
    return texts


def speed(given, name, model, length):
    tokenizer = symbol_tokenizer()
    item = questions(Addition(3), 1)[0]
    prompt = item["prompt"]
    texts = {}
    times = {"ours, one batch": [], "ours, same batch": [], "generate": []}
    sampler = HFSampler(model, tokenizer, max_new_tokens=length)

    def same_batch():
        parts = range(0, given.samples, given.batch)
        return [t for i in parts for t in sampler.sample(prompt, i, min(given.batch, given.samples - i), 0)]

    calls = {
        "ours, one batch": lambda: sampler.sample(prompt, 0, given.samples, 0),
        "ours, same batch": same_batch,
        "generate": lambda: by_generate(model, tokenizer, prompt, given.samples, given.batch, length),
    }
    for call in calls.values():
        call()
    for _ in range(given.repeats):
        for key, call in calls.items():
            begin = time.perf_counter()
            texts[key] = call()
            times[key].append(time.perf_counter() - begin)
    medians = {key: statistics.median(t) for key, t in times.items()}
    first = {key: np.mean([t[:2] == item["answer"][:2] for t in drawn]) for key, drawn in texts.items()}
    print(f"\n{name}: {given.samples} samples of up to {length} tokens, batches of {given.batch}")
    for key, seconds in medians.items():
        print(
            f"  {key:<18} {given.samples / seconds:10.0f} samples/s   {medians['generate'] / seconds:6.1f} x generate"
            f"   first two digits right: {first[key]:.4f}"
        )
    exact = exact_pass_probability(model, tokenizer, prompt, item["answer"])
    print(f"  exact pass probability of the item: {exact:.2g}")


def samples_needed():
    """Count the samples that reach a relative error at each rate, waiting for passes against a fixed number."""
    rng = np.random.default_rng(0)
    rates = np.array([0.3, 1e-2, 1e-3, 1e-4])
    r = 5
    drawn = rng.negative_binomial(r, rates, (20_000, 4)) + r
    error = np.sqrt(((pass_rate(r, drawn, method="unbiased") / rates - 1) ** 2).mean(axis=0))
    print(f"\nwaiting for {r} passes, (r - 1)/(K - 1):")
    for rate, mean, e in zip(rates, drawn.mean(axis=0), error, strict=True):
        zero = (1 - rate) ** 200
        print(
            f"  rate {rate:g}: {mean:9.0f} samples, relative error {e:.2f}; fixed n needs {(1 - rate) / rate / e**2:9.0f} for "
            f"that, at every item alike; n = 200 returns 0 in {100 * zero:.1f} %"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=4096)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=250, help="updates of the tiny model (default 250)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name, steps in (("trained decoder, 160 k weights", given.steps), ("nearly uniform decoder", 1)):
        model = trained_decoder(Addition(3), LADDER[-1], steps=steps, batch=192).model
        for length in (5, 16):
            speed(given, name, model, length)
    samples_needed()


if __name__ == "__main__":
    main()
