"""The batched trainer against one network trained by torch's own autograd and AdamW, and its own promises."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from broadsheet.methods._shared.ngram_mlp import (
    DivergedError,
    DomainMixture,
    Members,
    NgramMLP,
    NgramShape,
    cosine_schedule,
    train_members,
)

SHAPE = NgramShape(vocab_size=7, context=3, embedding=4, width=9)


def tokens(count: int = 300, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 7, (count,), generator=torch.Generator().manual_seed(seed))


def by_torch(seed, order_seed, stream, epochs, rate, decay, batch=16, clip=1.0, betas=(0.9, 0.95)):
    """One member as a user would write it: a module, autograd, ``torch.optim.AdamW``, a loop."""
    model = NgramMLP(SHAPE, seed)
    n = SHAPE.context
    padded = F.pad(stream, (n, 0), value=SHAPE.vocab_size)
    windows = padded.unfold(0, n + 1, 1)
    steps = max(1, round(epochs * len(stream) / batch))
    generator = torch.Generator().manual_seed(order_seed)
    order = torch.cat(
        [torch.randperm(len(stream), generator=generator) for _ in range(math.ceil(epochs) + 1)]
    )
    decayed = [model.hidden.weight, model.output.weight]
    free = [model.embedding.weight, model.hidden.bias, model.output.bias]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": decay}, {"params": free, "weight_decay": 0.0}],
        lr=rate,
        betas=betas,
    )
    for step in range(steps):
        chosen = windows[order[step * batch : (step + 1) * batch]]
        hidden = torch.relu(model.hidden(model.embedding(chosen[:, :-1]).flatten(1)))
        loss = F.cross_entropy(model.output(hidden), chosen[:, -1])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        for group in optimiser.param_groups:
            group["lr"] = rate * float(cosine_schedule(step, torch.tensor([steps]))[0])
        optimiser.step()
    return model


def assert_same(members: Members, k: int, model: NgramMLP) -> None:
    for name, value in model.state_dict().items():
        torch.testing.assert_close(members.parameters[name][k], value, atol=2e-5, rtol=2e-4)


def test_members_trained_at_once_equal_each_trained_by_torch_alone():
    settings = [(0, 5, 2.0, 3e-3, 0.1), (1, 5, 4.0, 1e-2, 3.2), (2, 9, 1.0, 1e-3, 0.0)]
    seeds, orders, epochs, rates, decays = (list(column) for column in zip(*settings, strict=True))
    trained = train_members(
        SHAPE,
        tokens(),
        epochs=epochs,
        learning_rate=rates,
        weight_decay=decays,
        init_seeds=seeds,
        order_seeds=orders,
        batch=16,
    )
    for k, (seed, order, passes, rate, decay) in enumerate(settings):
        assert_same(trained, k, by_torch(seed, order, tokens(), passes, rate, decay))


def test_a_member_does_not_depend_on_its_neighbours():
    alone = train_members(SHAPE, tokens(), epochs=2, weight_decay=1.6, init_seeds=[3], batch=16)
    beside = train_members(
        SHAPE, tokens(), epochs=[5, 2, 1], weight_decay=[0.1, 1.6, 6.4], init_seeds=[1, 3, 4], batch=16
    )
    assert_same(beside, 1, alone.module(0))
    assert beside.steps.tolist() == [94, 38, 19]


def test_the_module_reads_as_the_batch_does():
    trained = train_members(SHAPE, tokens(), epochs=1, init_seeds=[0, 1], batch=16)
    text = tokens(40, seed=3)
    logits, targets = next(iter(trained.logits(text)))
    assert targets.tolist() == text.tolist()
    for k in range(2):
        whole = trained.module(k)(text[None])[0]
        torch.testing.assert_close(whole[:-1], logits[k, 1:])
        loss = F.cross_entropy(logits[k], text)
        assert float(trained.losses(text)[k]) == pytest.approx(float(loss), abs=1e-6)


def test_decay_shrinks_matrices_only():
    plain = train_members(SHAPE, tokens(), epochs=8, weight_decay=0.0, init_seeds=[0], batch=16)
    decayed = train_members(SHAPE, tokens(), epochs=8, weight_decay=30.0, init_seeds=[0], batch=16)
    shrunk = {n: float(decayed.parameters[n].norm() / plain.parameters[n].norm()) for n in plain.parameters}
    assert shrunk["hidden.weight"] < 0.7
    assert shrunk["output.weight"] < 0.7
    assert shrunk["embedding.weight"] > 0.9


def test_seeds_of_values_and_order_are_apart():
    trained = train_members(
        SHAPE, tokens(), steps=1, init_seeds=[0, 0, 1, 0], order_seeds=[0, 1, 0, 0], batch=16
    )
    value = trained.parameters["hidden.weight"]
    assert torch.equal(value[0], value[3])
    assert not torch.equal(value[0], value[1])
    assert not torch.equal(value[0], value[2])
    assert (value[0] - value[1]).abs().max() < 0.02 < (value[0] - value[2]).abs().max()


def test_each_member_learns_its_own_data():
    first, second = torch.tensor([0, 1] * 100), torch.tensor([2, 3] * 100)
    trained = train_members(
        SHAPE, [first, second], epochs=10, init_seeds=[0, 1], batch=16, learning_rate=1e-2
    )
    own = trained.losses({"first": first, "second": second})
    assert own["first"][0] < 0.1 < 2.0 < own["first"][1]
    assert own["second"][1] < 0.1 < 2.0 < own["second"][0]


def test_a_mixture_is_drawn_by_weight_and_every_position_before_any_twice():
    from broadsheet.methods._shared.ngram_mlp import _order, _Store

    domains = [torch.arange(5) % 7, torch.arange(50) % 7]
    store = _Store(domains, SHAPE)
    order = _order(store, [0, 1], torch.tensor([0.2, 0.8], dtype=torch.float64), 1000, seed=0)
    small = order < store.starts[1]
    assert int(small.sum()) == pytest.approx(200, abs=40)
    assert sorted(order[small][:5].tolist()) == list(range(5))
    assert len(set(order[~small][:50].tolist())) == 50
    assert torch.equal(store.windows[order[~small] - 0][:, -1], domains[1][order[~small] - store.starts[1]])


def test_mixture_weights_steer_the_losses():
    domains = {"a": torch.tensor([0, 1, 2] * 60), "b": torch.tensor([3, 4, 5] * 60)}
    data = DomainMixture(domains, torch.tensor([[9.0, 1.0], [1.0, 9.0], [1.0, 0.0]]))
    assert data.weights[0].tolist() == pytest.approx([0.9, 0.1])
    trained = train_members(SHAPE, data, steps=60, init_seeds=[0, 0, 0], batch=16)
    losses = trained.losses(domains)
    assert losses["a"][0] < losses["a"][1]
    assert losses["b"][1] < losses["b"][0] < losses["b"][2]


def test_the_schedule_rises_and_falls_per_member():
    total = torch.tensor([10, 1000])
    factors = torch.stack([cosine_schedule(step, total, warmup=0.1) for step in range(10)])
    assert factors[0].tolist() == pytest.approx([1.0, 0.01])
    assert factors[9, 0] < 0.05
    assert bool((factors[1:, 0] <= factors[:-1, 0] + 1e-6).all())
    assert bool((factors[1:, 1] > factors[:-1, 1]).all())
    assert float(cosine_schedule(10, torch.tensor([10]), floor=0.1)[0]) == pytest.approx(0.1)


def test_join_and_choose_keep_members_in_order():
    a = train_members(SHAPE, tokens(), steps=2, init_seeds=[0, 1], batch=16)
    b = train_members(SHAPE, tokens(), steps=2, init_seeds=[2], batch=16)
    joined = Members.join([a, b])
    assert len(joined) == 3
    assert torch.equal(joined[[2]].parameters["hidden.weight"], b.parameters["hidden.weight"])
    other = train_members(NgramShape(7, 3, 4, 5), tokens(), steps=1, init_seeds=[0], batch=16)
    with pytest.raises(ValueError, match="one shape"):
        Members.join([a, other])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"init_seeds": []}, "init_seeds must name at least one member"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"steps": 3}, "epochs or steps, not both"),
        ({"epochs": [1, 2, 3]}, r"epochs must be one value or one per member \(2"),
        ({"epochs": 0}, "epochs must be finite and > 0, got 0"),
        ({"learning_rate": [1e-3, -1.0]}, "learning_rate must be finite and > 0, got -1"),
        ({"weight_decay": -0.1}, "weight_decay must be finite and >= 0, got -0.1"),
        ({"weight_decay": math.nan}, "weight_decay must be finite"),
        ({"order_seeds": [1, 2, 3]}, "order_seeds must be one value or one per member"),
        ({"data": [tokens()]}, "one stream or one per member"),
        ({"data": torch.tensor([1, 2, 7])}, r"ids from 0 to 6 \(vocab_size 7\), got 1 to 7"),
        ({"data": torch.zeros(0, dtype=torch.long)}, "one-dimensional sequence"),
        ({"data": DomainMixture({"a": tokens()}, torch.ones(3, 1))}, "one row of weights per member"),
    ],
)
def test_bad_settings_are_refused(change, message):
    given = {"data": tokens(), "epochs": 1, "init_seeds": [0, 1], "batch": 16} | change
    with pytest.raises(ValueError, match=message):
        train_members(SHAPE, given.pop("data"), **given)


def test_bad_mixtures_and_shapes_are_refused():
    with pytest.raises(ValueError, match="for member 1"):
        DomainMixture({"a": tokens(), "b": tokens()}, torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    with pytest.raises(ValueError, match="2 domains"):
        DomainMixture({"a": tokens(), "b": tokens()}, torch.ones(2, 3))
    with pytest.raises(ValueError, match="width must be at least 1, got 0"):
        NgramShape(7, width=0)


def test_divergence_is_told():
    with pytest.raises(DivergedError, match="learning rate 1e\\+30"):
        train_members(SHAPE, tokens(), steps=60, learning_rate=1e30, init_seeds=[0], batch=16, clip=None)
