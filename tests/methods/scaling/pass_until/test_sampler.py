"""The sampler draws from the model's own distribution, whatever the batch; the exact rate is its limit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from scipy.stats import binomtest, chisquare  # noqa: E402

from broadsheet.methods._shared.tiny_lm import TinyLM, TinyLMConfig  # noqa: E402
from broadsheet.methods.scaling.generated_tasks import symbol_tokenizer  # noqa: E402
from broadsheet.methods.scaling.pass_until.exact import exact_pass_probability  # noqa: E402
from broadsheet.methods.scaling.pass_until.sampler import (  # noqa: E402
    HFSampler,
    TruncatedSamplingWarning,
    uniform_streams,
)

END = symbol_tokenizer().eos_token_id


@pytest.fixture(scope="module")
def model():
    llama = TinyLM(TinyLMConfig(vocab_size=14, d_model=16, heads=2, layers=2, max_context=32), seed=3).to_hf()
    with torch.no_grad():
        llama.lm_head.weight.mul_(15)  # tied to the embedding; far from uniform
    return llama.eval()


def sampler(model, **options):
    return HFSampler(model, symbol_tokenizer(), **{"max_new_tokens": 3, "strip": False, **options})


def distribution(model, prompt, temperature=1.0):
    """The probability of every continuation of at most 3 tokens, by walking all of them."""
    tokenizer = symbol_tokenizer()
    start = tokenizer(prompt)["input_ids"]
    found = {}
    todo = [((), 1.0)]
    while todo:
        path, p = todo.pop()
        with torch.no_grad():
            logits = model(torch.tensor([[*start, *path]])).logits[0, -1].double() / temperature
        for token, q in enumerate(torch.softmax(logits, -1).tolist()):
            grown = (*path, token)
            if token == END or len(grown) == 3:
                found[tokenizer.decode(grown)] = found.get(tokenizer.decode(grown), 0.0) + p * q
            else:
                todo.append((grown, p * q))
    return found


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_samples_follow_the_models_distribution(model, temperature):
    n = 40_000
    wanted = distribution(model, "12+34=", temperature)
    assert sum(wanted.values()) == pytest.approx(1.0)
    texts = sampler(model, temperature=temperature)("12+34=", n, seed=5)
    counts = dict.fromkeys(wanted, 0)
    for text in texts:
        counts[text] += 1
    common = [t for t, p in wanted.items() if p * n > 8]
    assert len(common) > 20
    seen = np.array([counts[t] for t in common] + [n - sum(counts[t] for t in common)])
    expected = np.array([wanted[t] for t in common] + [1 - sum(wanted[t] for t in common)]) * n
    assert chisquare(seen, expected).pvalue > 1e-4


def test_a_sample_is_the_same_in_any_batch(model):
    draw = sampler(model).sample
    whole = draw("7>", 0, 500, 11)
    assert draw("7>", 0, 1, 11) == whole[:1]
    assert draw("7>", 123, 77, 11) == whole[123:200]
    assert draw("7>", 0, 500, 12) != whole
    assert len(set(whole)) > 20


def test_a_prompt_is_run_once_until_the_weights_change(model):
    calls = []
    hook = model.register_forward_pre_hook(
        lambda _, __, given: calls.append(given["input_ids"].shape), with_kwargs=True
    )
    draw = sampler(model)
    for first in range(0, 300, 100):
        draw.sample("12+34=", first, 100, 0)
    assert calls.count((1, 6)) == 1
    before = draw.sample("12+34=", 0, 100, 0)
    with torch.no_grad():
        model.lm_head.weight.neg_()
    changed = draw.sample("12+34=", 0, 100, 0)
    assert calls.count((1, 6)) == 2
    with torch.no_grad():
        model.lm_head.weight.neg_()
    assert draw.sample("12+34=", 0, 100, 0) == before != changed
    hook.remove()


def test_streams_are_uniform_and_independent():
    u = uniform_streams(3, 0, 5000, 6)
    assert u.shape == (5000, 6)
    assert np.histogram(u, 10, (0, 1))[0] == pytest.approx(3000, abs=250)
    assert abs(np.corrcoef(u.T) - np.eye(6)).max() < 0.06
    assert not np.array_equal(u, uniform_streams(4, 0, 5000, 6))


def test_the_exact_probability_is_the_sum_over_answers(model):
    wanted = distribution(model, "7>")
    closed = [text for text in wanted if text.endswith("<end>") and len(text) == 2 + len("<end>")]
    answers = [text.removesuffix("<end>") for text in closed][:7]
    found = exact_pass_probability(model, symbol_tokenizer(), "7>", answers)
    assert found == pytest.approx(sum(wanted[a + "<end>"] for a in answers), rel=1e-4)
    one = exact_pass_probability(model, symbol_tokenizer(), "7>", answers[0])
    assert one == pytest.approx(wanted[answers[0] + "<end>"], rel=1e-4)
    hot = exact_pass_probability(model, symbol_tokenizer(), "7>", answers, temperature=1e7)
    assert hot == pytest.approx(7 * 14.0**-3, rel=1e-3)


def test_the_share_of_passes_is_the_exact_probability(model):
    answers = ["".join(pair) for pair in itertools.product("0123456789", repeat=2)]
    p = exact_pass_probability(model, symbol_tokenizer(), "3>", answers)
    texts = sampler(model)("3>", 30_000, seed=2)
    passed = sum(text in {a + "<end>" for a in answers} for text in texts)
    assert binomtest(passed, 30_000, p).pvalue > 1e-4


def test_a_number_that_only_begins_right_does_not_count(model):
    wanted = distribution(model, "3>")
    p = exact_pass_probability(model, symbol_tokenizer(), "3>", ["12"])
    begins = sum(q for text, q in wanted.items() if text.startswith("12"))
    assert p < begins


def test_top_p_warns_and_cuts_the_tail(model):
    with pytest.warns(TruncatedSamplingWarning, match="the probability 0 exactly"):
        cut = sampler(model, top_p=0.5, max_new_tokens=1)
    ids = symbol_tokenizer()("3>")["input_ids"]
    with torch.no_grad():
        p = torch.softmax(model(torch.tensor([ids])).logits[0, -1].double(), -1)
    ranked, order = p.sort(descending=True)
    kept = order[: int((ranked.cumsum(0) - ranked < 0.5).sum())].tolist()
    texts = cut("3>", 4000, seed=0)
    assert set(texts) == {symbol_tokenizer().decode([t]) for t in kept}


def test_sampling_leaves_the_mode_alone_and_tells_its_settings(model):
    model.train()
    draw = sampler(model, temperature=0.7)
    draw("3>", 2, 0)
    assert model.training
    model.eval()
    assert draw.settings == {"temperature": 0.7, "top_p": 1.0, "max_new_tokens": 3}


def test_what_it_refuses(model):
    with pytest.raises(ValueError, match="temperature must be > 0, got 0: at 0 every sample is the same"):
        sampler(model, temperature=0)
    with pytest.raises(ValueError, match=r"top_p must lie in \(0, 1\], got 0"):
        sampler(model, top_p=0)
    with pytest.raises(ValueError, match="max_new_tokens must be at least 1"):
        sampler(model, max_new_tokens=0)
    with pytest.raises(ValueError, match="has no tokens"):
        sampler(model)("", 3, 0)
    with pytest.raises(ValueError, match="count >= 1, got first=0, count=0"):
        sampler(model)("3>", 0, 0)
    with pytest.raises(ValueError, match="stands there twice"):
        exact_pass_probability(model, symbol_tokenizer(), "3>", ["1", "1"])
    with pytest.raises(ValueError, match="at least one text"):
        exact_pass_probability(model, symbol_tokenizer(), "3>", [])

    class Endless:
        eos_token_id = None

    with pytest.raises(ValueError, match="names an end token; give stop_token_ids="):
        HFSampler(torch.nn.Linear(1, 1), Endless())
    with pytest.raises(ValueError, match="give end_token_id="):
        exact_pass_probability(model, Endless(), "3>", ["1"])
