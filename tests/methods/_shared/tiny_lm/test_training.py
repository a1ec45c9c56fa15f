from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from broadsheet.methods._shared.tiny_lm import (
    MarkovSource,
    NotFinite,
    Stream,
    TinyLM,
    TinyLMConfig,
    evaluate,
    load_corpus,
    train,
)

SOURCE = MarkovSource(symbols=12, concentration=0.5, seed=0)
QUICK = {"batch": 4, "context": 16, "lr": 5e-3, "eval_tokens": 800}


def fresh(seed: int = 0, vocab_size: int = 12) -> TinyLM:
    return TinyLM(TinyLMConfig(vocab_size=vocab_size, d_model=16, heads=2, layers=1), seed=seed)


def same(one: nn.Module, other: nn.Module) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(weight, theirs[name]) for name, weight in one.state_dict().items())


# --- It learns -----------------------------------------------------------------------------------------------


def test_a_smoke_run_beats_the_unigram() -> None:
    corpus = load_corpus("pydoc", tokenizer="characters")
    run = train(TinyLM.preset("nano", vocab_size=corpus.vocab_size), corpus, steps=60, batch=16, context=64)
    assert run.loss < corpus.unigram_loss - 0.1
    assert run.bits_per_byte == pytest.approx(run.loss / math.log(2) / corpus.bytes_per_token)


def test_a_source_of_known_entropy_is_approached_and_never_beaten() -> None:
    source = MarkovSource(symbols=6, order=1, concentration=0.5, seed=1)
    model = TinyLM(TinyLMConfig(vocab_size=6, d_model=24, heads=2, layers=1))
    run = train(model, source, steps=150, batch=16, context=32, lr=1e-2, eval_tokens=20_000)
    best = source.expected_loss(32)
    assert best - 0.01 < run.loss < best + 0.05 < source.unigram_loss


# --- It is deterministic -------------------------------------------------------------------------------------


def test_equal_runs_are_equal_to_the_last_bit() -> None:
    runs = [train(fresh(), SOURCE, steps=12, **QUICK) for _ in range(2)]
    assert same(runs[0].model, runs[1].model)
    np.testing.assert_array_equal(runs[0].losses, runs[1].losses)
    assert runs[0].loss == runs[1].loss
    other = train(fresh(), SOURCE, steps=12, seed=1, **QUICK)
    assert not same(runs[0].model, other.model)


def test_dropout_is_drawn_from_the_seed_and_the_callers_state_is_left_alone() -> None:
    def model() -> TinyLM:
        return TinyLM(fresh().config, ffn=lambda c, _: nn.Dropout(0.5))

    torch.manual_seed(1)
    first = train(model(), SOURCE, steps=5, **QUICK)
    after = torch.rand(1)
    second = train(model(), SOURCE, steps=5, **QUICK)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(1))
    assert same(first.model, second.model)


def test_arms_see_the_same_text_whatever_their_model() -> None:
    seen: dict[str, list[torch.Tensor]] = {"narrow": [], "wide": []}

    def watch(name: str):
        def loss_fn(model, inputs, targets):
            seen[name].append(torch.cat([inputs, targets], 1))
            return nn.functional.cross_entropy(model(inputs).logits.flatten(0, 1), targets.flatten())

        return loss_fn

    train(fresh(), SOURCE, steps=4, loss_fn=watch("narrow"), **QUICK)
    train(TinyLM.preset("nano", vocab_size=12, seed=9), SOURCE, steps=4, loss_fn=watch("wide"), **QUICK)
    assert all(torch.equal(a, b) for a, b in zip(seen["narrow"], seen["wide"], strict=True))


# --- It resumes ----------------------------------------------------------------------------------------------


class Killed(Exception):
    pass


class Counting:
    """A callback with a state that changes the run."""

    def __init__(self, killed_at: int = -1) -> None:
        self.calls, self.killed_at = 0, killed_at

    def __call__(self, step: int, model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        if step == self.killed_at:
            raise Killed
        self.calls += 1
        optimiser.param_groups[0]["lr"] *= 1 + 0.1 * (self.calls % 3)

    def state_dict(self) -> dict:
        return {"calls": self.calls}

    def load_state_dict(self, state: dict) -> None:
        self.calls = state["calls"]


def dropping() -> TinyLM:
    return TinyLM(fresh().config, ffn=lambda c, _: nn.Sequential(nn.Linear(16, 16), nn.Dropout(0.2)))


@pytest.mark.parametrize("killed_at", [1, 7, 10, 19])
def test_a_killed_and_resumed_run_equals_an_uninterrupted_one(tmp_path, killed_at: int) -> None:
    given = {**QUICK, "steps": 20, "eval_every": 0.25, "eval_at": [0], "checkpoint_every": 5}
    whole = train(dropping(), SOURCE, callback=Counting(), **given)
    file = tmp_path / "run.pt"
    with pytest.raises(Killed):
        train(dropping(), SOURCE, callback=Counting(killed_at), checkpoint=file, **given)
    resumed = train(dropping(), SOURCE, callback=Counting(), checkpoint=file, **given)
    assert same(whole.model, resumed.model)
    np.testing.assert_array_equal(whole.losses, resumed.losses)
    left, right = whole.curve.drop(columns="cpu_s"), resumed.curve.drop(columns="cpu_s")
    assert left.equals(right)
    assert list(left["step"]) == [0, 5, 10, 15, 20]


def test_a_finished_run_is_read_and_not_trained_again(tmp_path) -> None:
    file = tmp_path / "run.pt"
    first = train(fresh(), SOURCE, steps=6, checkpoint=file, **QUICK)

    def never(*_: object) -> None:
        raise AssertionError

    again = train(fresh(seed=5), SOURCE, steps=6, checkpoint=file, callback=never, **QUICK)
    assert same(first.model, again.model)
    assert again.loss == first.loss


def test_a_checkpoint_of_another_run_is_refused(tmp_path) -> None:
    file = tmp_path / "run.pt"
    train(fresh(), SOURCE, steps=6, checkpoint=file, **QUICK)
    with pytest.raises(ValueError, match=r"of another run: seed=0 and not 3, .*steps=6 and not 7"):
        train(fresh(), SOURCE, steps=7, seed=3, checkpoint=file, **QUICK)
    file.write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=r"run\.pt is damaged or no checkpoint; remove it"):
        train(fresh(), SOURCE, steps=6, checkpoint=file, **QUICK)


def test_a_checkpoint_runs_no_code(tmp_path) -> None:
    import os

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "evil"),)

    file = tmp_path / "run.pt"
    torch.save({"settings": Evil()}, file)
    with pytest.raises(ValueError, match="no checkpoint"):
        train(fresh(), SOURCE, steps=6, checkpoint=file, **QUICK)
    assert not (tmp_path / "evil").exists()


# --- It does what it is told ---------------------------------------------------------------------------------


def test_learning_rate_follows_the_schedule() -> None:
    rates: list[float] = []

    def watch(step: int, model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        assert step == len(rates)
        rates.append(optimiser.param_groups[0]["lr"])

    given = {
        **QUICK,
        "lr": 1.0,
        "callback": watch,
        "optimiser": lambda m: torch.optim.SGD(m.parameters(), lr=0.0),
    }
    train(fresh(), SOURCE, steps=40, warmup=0.25, **given)
    np.testing.assert_allclose(rates[:10], np.arange(1, 11) / 10)
    along = np.arange(30) / 30
    np.testing.assert_allclose(rates[10:], 0.1 + 0.9 * (1 + np.cos(np.pi * along)) / 2)
    rates.clear()
    train(fresh(), SOURCE, steps=10, warmup=4, schedule="constant", **given)
    np.testing.assert_allclose(rates, [0.25, 0.5, 0.75, *[1.0] * 7])


def test_first_step_is_adamw_written_out() -> None:
    """After one step, AdamW moves each weight by lr * sign(gradient), and shrinks matrices by lr * decay."""
    model = fresh()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    train(model, SOURCE, steps=1, **{**QUICK, "lr": 0.01}, warmup=0, clip=None, eps=1e-30)
    for name, p in model.named_parameters():
        decay = 0.1 if p.ndim == 2 else 0.0
        expected = before[name] * (1 - 0.01 * decay) - 0.01 * p.grad.sign()
        torch.testing.assert_close(p.detach(), expected, rtol=1e-4, atol=1e-6)


def test_evaluations_come_when_asked() -> None:
    run = train(fresh(), SOURCE, steps=20, eval_at=[0, 3], eval_every=8, **QUICK)
    assert list(run.curve["step"]) == [0, 3, 8, 16, 20]
    assert list(run.curve["tokens"]) == [64 * s for s in (0, 3, 8, 16, 20)]
    np.testing.assert_allclose(run.curve["train_loss"][2], run.losses[3:8].mean())
    assert run.loss == evaluate(run.model, SOURCE, tokens=800, context=16).loss
    assert run.steps == 20
    assert run.summary()["curve"]["step"] == [0, 3, 8, 16, 20]


def test_evaluating_more_often_changes_nothing() -> None:
    one = train(dropping(), SOURCE, steps=9, **QUICK)
    other = train(dropping(), SOURCE, steps=9, eval_every=1, **QUICK)
    assert same(one.model, other.model)


def test_tokens_and_seconds_are_other_ways_to_say_how_long() -> None:
    assert train(fresh(), SOURCE, tokens=64 * 7 + 63, **QUICK).steps == 7
    run = train(fresh(), SOURCE, budget_seconds=0.3, **QUICK)
    assert run.cpu_seconds >= 0.3
    assert run.tokens == run.steps * 64
    assert run.curve["lr"].iloc[-1] < 0.3 * 5e-3


def test_tokens_that_are_not_scored_teach_nothing() -> None:
    class Masked(Stream):
        """Ones, scored nowhere but at the last place, where there is a two."""

        def draw(self, rng, count, length):
            ids = np.ones((count, length), dtype=int)
            ids[:, -1] = 2
            return ids, np.arange(length) == length - 1

    model = fresh(vocab_size=5)
    run = train(model, Masked(5), steps=40, **QUICK)
    assert run.loss < 0.5
    with torch.no_grad():
        guess = model(torch.ones(1, 16, dtype=torch.long)).logits.softmax(-1)[0, 3]
    assert guess[1] < 0.2  # never asked to say one


def test_any_module_that_gives_logits_can_be_trained() -> None:
    class Bigram(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(12, 12)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.table(ids)

    run = train(Bigram(), SOURCE, steps=100, **{**QUICK, "lr": 0.3}, eval_at=[0])
    assert run.loss < SOURCE.unigram_loss < run.curve["loss"][0]


def test_llama_trains_as_tinylm_does() -> None:
    pytest.importorskip("transformers")
    mine = fresh()
    theirs = mine.to_hf()
    a = train(mine, SOURCE, steps=5, **QUICK)
    b = train(theirs, SOURCE, steps=5, **QUICK)
    np.testing.assert_allclose(a.losses, b.losses, atol=2e-3)


# --- It refuses and stops ------------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_stops_with_step_and_rate() -> None:
    def loss_fn(model, inputs, targets):
        loss = nn.functional.cross_entropy(model(inputs).logits.flatten(0, 1), targets.flatten())
        loss_fn.calls += 1
        return loss * (math.nan if loss_fn.calls == 4 else 1)

    loss_fn.calls = 0
    with pytest.raises(NotFinite, match=r"the loss is nan at step 3 with learning rate 0.005"):
        train(fresh(), SOURCE, steps=6, loss_fn=loss_fn, warmup=0, schedule="constant", **QUICK)


def test_a_gradient_that_is_no_number_stops_too() -> None:
    def loss_fn(model, inputs, targets):
        return (model.norm.weight - 1).abs().sum().sqrt()  # 0 with an infinite slope

    with pytest.raises(NotFinite, match="the gradient is nan at step 0"):
        train(fresh(), SOURCE, steps=6, loss_fn=loss_fn, **QUICK)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "exactly one of tokens, steps and budget_seconds, got none"),
        ({"steps": 3, "tokens": 999}, "exactly one of .* got tokens, steps"),
        ({"tokens": 63}, "tokens=63 is less than one batch of 4 x 16"),
        ({"steps": 0}, "steps must be above 0, got 0"),
        ({"steps": 3, "lr": 0}, "lr must be above 0, got 0"),
        ({"steps": 3, "batch": 0}, "batch must be at least 1, got 0"),
        ({"steps": 3, "schedule": "linear"}, "schedule must be 'cosine' or 'constant', got 'linear'"),
        ({"steps": 3, "eval_at": [4]}, r"eval_at must lie between 0 and the last step, 3, got \[4\]"),
        ({"steps": 3, "weight_decay": -1}, "weight_decay must be at least 0, got -1"),
    ],
)
def test_bad_input_is_refused_before_work_starts(given: dict, told: str) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    with pytest.raises(ValueError, match=told):
        train(fresh(), SOURCE, callback=never, **{**QUICK, **given})


def test_other_vocabularies_are_refused() -> None:
    with pytest.raises(ValueError, match="model has vocab_size=13, corpus 'markov' has 12"):
        train(fresh(vocab_size=13), SOURCE, steps=1, **QUICK)
    with pytest.raises(ValueError, match=r"vocab_size=corpus\.vocab_size"):
        evaluate(fresh(vocab_size=13), SOURCE)


def test_a_frozen_model_is_refused() -> None:
    with pytest.raises(ValueError, match="no parameter to train"):
        train(fresh().requires_grad_(False), SOURCE, steps=1, **QUICK)


# --- Evaluation ----------------------------------------------------------------------------------------------


def test_evaluation_does_not_depend_on_the_batch() -> None:
    model = fresh()
    found = [evaluate(model, SOURCE, tokens=1_000, context=20, batch=b) for b in (1, 7, 50)]
    assert {f.tokens for f in found} == {1_000}
    for other in found[1:]:
        assert other.loss == pytest.approx(found[0].loss, abs=1e-6)


def test_evaluation_is_the_mean_over_the_split() -> None:
    corpus = load_corpus([f"line number {i}" for i in range(300)], tokenizer="bytes")
    model = fresh(vocab_size=257)
    found = evaluate(model, corpus, tokens=None, context=32)
    ids = torch.from_numpy(corpus.validation.ids.astype(np.int64))
    pieces = (len(ids) - 1) // 32
    losses = []
    with torch.no_grad():
        for i in range(pieces):
            logits = model(ids[None, 32 * i : 32 * i + 32]).logits[0]
            losses.append(nn.functional.cross_entropy(logits, ids[32 * i + 1 : 32 * i + 33]))
    assert found.tokens == 32 * pieces
    assert found.loss == pytest.approx(torch.stack(losses).mean().item(), abs=1e-5)
    assert found.perplexity == pytest.approx(math.exp(found.loss))


def test_evaluation_leaves_the_mode_alone() -> None:
    model = dropping().train()
    assert evaluate(model, SOURCE, tokens=400, context=20) == evaluate(model, SOURCE, tokens=400, context=20)
    assert model.training


def test_a_checkpoint_that_breaks_off_leaves_the_one_before(tmp_path, monkeypatch) -> None:
    given = {**QUICK, "steps": 9, "checkpoint_every": 3, "checkpoint": tmp_path / "run.pt"}
    whole = train(fresh(), SOURCE, steps=9, **QUICK)
    save, calls = torch.save, []

    def broken(state: dict, path) -> None:
        calls.append(1)
        if len(calls) == 2:
            path.write_bytes(b"half of it")
            raise OSError("No space left on device")
        save(state, path)

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(OSError, match="No space left"):
        train(fresh(), SOURCE, **given)
    assert [file.name for file in tmp_path.iterdir()] == ["run.pt"]
    steps: list[int] = []
    resumed = train(fresh(), SOURCE, callback=lambda step, *_: steps.append(step), **given)
    assert steps == [3, 4, 5, 6, 7, 8]
    assert same(whole.model, resumed.model)
