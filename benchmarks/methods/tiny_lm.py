"""Train the tiny language model and the same model as transformers' Llama in the same loop, in turn.

Run: python benchmarks/methods/tiny_lm.py [--steps 20] [--repeats 7] [--presets nano mini]

Both start from the same weights and read the same text, so their losses agree; only the code of the model differs.
Speed is given as tokens per CPU second of one thread and as the ratio of medians. The data path is timed alone.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import statistics
import time

import numpy as np

from broadsheet.methods._shared.tiny_lm import MarkovSource, TinyLM, load_corpus, train


def race(preset, batch, corpus, steps, repeats):
    """Train both in turn and print the ratio of their median speeds."""
    speeds = {"ours": [], "llama": []}
    losses = {}
    for _ in range(repeats + 1):
        model = TinyLM.preset(preset, vocab_size=corpus.vocab_size)
        for name, arm in (("llama", model.to_hf()), ("ours", model)):
            run = train(arm, corpus, steps=steps, batch=batch, context=128, lr=3e-3, eval_tokens=128)
            speeds[name].append(run.tokens_per_cpu_second)
            losses[name] = run.losses[-1]
    ours, llama = (statistics.median(speeds[name][1:]) for name in ("ours", "llama"))  # the first warms up
    print(
        f"{preset:<5} batch {batch:>2} x 128: {ours / llama:5.2f} x   {ours:9,.0f} vs {llama:9,.0f} tokens per CPU-s   "
        f"last loss {losses['ours']:.4f} vs {losses['llama']:.4f}"
    )


def data_path(name, source, repeats):
    """Print how fast batches of 32 x 128 come, without any model."""
    seconds = []
    for i in range(repeats + 1):
        begin = time.process_time()
        for step in range(50):
            source.sequences(32 * (50 * i + step), 32, 129, seed=0)
        seconds.append(time.process_time() - begin)
    print(f"data alone, {name:<22} {50 * 32 * 128 / statistics.median(seconds[1:]):12,.0f} tokens per CPU-s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20, help="steps of each training (default 20)")
    parser.add_argument("--repeats", type=int, default=7, help="times each is trained (default 7)")
    parser.add_argument("--presets", nargs="+", default=["nano", "mini"], help="presets (default: nano mini)")
    given = parser.parse_args()
    corpus = load_corpus("generated")
    print("ours / transformers' LlamaForCausalLM in the same loop; a larger ratio is better for ours\n")
    for preset in given.presets:
        race(preset, 32 if preset == "nano" else 16, corpus, given.steps, given.repeats)
    print()
    data_path("text", corpus, given.repeats)
    data_path("order-2 source, 32", MarkovSource(symbols=32), given.repeats)
    data_path("order-2 source, 128", MarkovSource(symbols=128), given.repeats)
    begin = time.process_time()
    texts = load_corpus("generated", tokenizer="bytes")
    decoded = texts.tokenizer.decode(np.asarray(texts.train.ids))
    print(
        f"loading an encoded corpus and decoding {len(decoded):,} characters: {time.process_time() - begin:.2f} CPU-s"
    )


if __name__ == "__main__":
    main()
