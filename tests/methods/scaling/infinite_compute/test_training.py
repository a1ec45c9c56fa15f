"""Members trained at once against torch alone; what seeds decide; students."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from broadsheet.methods._shared.ngram_mlp import DivergedError, cosine_schedule
from broadsheet.methods.scaling.infinite_compute import LogitEnsemble, distill, sample_text, train_ensemble
from broadsheet.methods.scaling.infinite_compute.training import _feed, _pieces

PERIOD = torch.arange(240) * 2 % 7


def loss_of(model: nn.Module) -> float:
    with torch.no_grad():
        return float(F.cross_entropy(model(PERIOD[None, :-1])[0], PERIOD[1:]))


class Plain(nn.Module):
    """A bigram network with a norm, so that there is something that must not decay."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 6)
        self.norm = nn.LayerNorm(6)
        self.out = nn.Linear(6, 7)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.out(self.norm(self.table(input_ids)))


def by_torch(seed, epochs, lr, decay, context=12, batch=4):
    """One member as a user would write it."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Plain()
    pieces = _pieces(PERIOD, context)
    steps = round(epochs * len(pieces) / batch)
    free = [p for name, p in model.named_parameters() if name != "out.weight"]
    groups = [{"params": [model.out.weight], "weight_decay": decay}, {"params": free, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95))
    for step, chosen in enumerate(_feed(pieces, steps, batch, seed)):
        loss = F.cross_entropy(model(chosen[:, :-1]).flatten(0, 1), chosen[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimiser.param_groups:
            group["lr"] = lr * float(cosine_schedule(step, torch.tensor([steps]))[0])
        optimiser.step()
    return model


@pytest.mark.parametrize("stacked", [True, False])
def test_members_equal_models_trained_by_torch_alone(stacked):
    members = train_ensemble(
        Plain, PERIOD, 3, epochs=4, lr=1e-2, weight_decay=1.6, context=12, batch=4, stacked=stacked
    )
    for seed, member in enumerate(members):
        alone = by_torch(seed, 4, 1e-2, 1.6)
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(member.state_dict()[name], value, atol=1e-4, rtol=1e-4)
        assert not member.training


def test_seeds_decide_values_order_or_both():
    settings = {"epochs": 0.2, "context": 12, "batch": 4, "lr": 1e-9}
    both = train_ensemble(Plain, PERIOD, 2, **settings)
    order = train_ensemble(Plain, PERIOD, 2, vary="order", **settings)
    gap = [(a.out.weight - b.out.weight).abs().max() for a, b in (both, order)]
    assert gap[0] > 0.01
    assert gap[1] < 1e-6
    settings |= {"lr": 1e-2, "epochs": 3}
    order = train_ensemble(Plain, PERIOD, 2, vary="order", **settings)
    assert (order[0].out.weight - order[1].out.weight).abs().max() > 1e-4
    init = train_ensemble(Plain, PERIOD, 2, vary="init", **settings)
    both = train_ensemble(Plain, PERIOD, 2, **settings)
    torch.testing.assert_close(init[0].state_dict(), both[0].state_dict())


def test_orders_do_not_come_from_the_global_generator():
    torch.manual_seed(3)
    first = train_ensemble(Plain, PERIOD, 2, epochs=1, context=12, batch=4)
    state = torch.random.get_rng_state()
    torch.rand(5)
    again = train_ensemble(Plain, PERIOD, 2, epochs=1, context=12, batch=4)
    torch.testing.assert_close(first[1].state_dict(), again[1].state_dict())
    assert not torch.equal(state, torch.random.get_rng_state())


def test_pieces_predict_every_token_once():
    pieces = _pieces(torch.arange(25), 6)
    assert pieces[:, 1:].flatten().tolist() == list(range(1, 25))
    feed = torch.cat([batch[:, 0] for batch in _feed(pieces, 4, 2, seed=0)])
    assert sorted(feed[:4].tolist()) == sorted(feed[4:].tolist()) == [0, 6, 12, 18]


def test_divergence_and_bad_settings_are_told():
    good = {"epochs": 1, "context": 12, "batch": 4}
    with pytest.raises(DivergedError, match="lower lr"):
        train_ensemble(Plain, PERIOD, 2, **good, lr=math.inf)
    for wrong, message in (
        ({"lr": 0.0}, "lr is out of range, got 0.0"),
        ({"weight_decay": -1.0}, "weight_decay is out of range"),
        ({"epochs": 0}, "epochs and batch must be positive"),
        ({"context": 0}, "context must be at least 1"),
        ({"context": 400}, "at least context \\+ 1 = 401 tokens"),
        ({"seeds": [1, 2, 3]}, r"one per member \(k=2"),
        ({"vary": "none"}, "vary must be"),
    ):
        with pytest.raises(ValueError, match=message):
            train_ensemble(Plain, PERIOD, 2, **{**good, **wrong})


# --- students


def test_text_follows_its_teacher():
    teacher = train_ensemble(Plain, PERIOD, 2, epochs=60, lr=3e-2, weight_decay=0.0, context=12, batch=4)
    text = sample_text(LogitEnsemble(teacher), 300, start=PERIOD, streams=10, seed=1)
    assert text.shape == (10, 30)
    follows = (text[:, 1:] == (text[:, :-1] + 2) % 7).float().mean()
    assert follows > 0.95
    assert torch.equal(text, sample_text(LogitEnsemble(teacher), 300, start=PERIOD, streams=10, seed=1))
    hot = sample_text(teacher[0], 300, start=PERIOD, streams=10, temperature=100.0, seed=1)
    assert (hot[:, 1:] == (hot[:, :-1] + 2) % 7).float().mean() < 0.5


def test_a_student_learns_from_drawn_text_alone_and_from_a_mix():
    teacher = train_ensemble(Plain, PERIOD, 2, epochs=60, lr=3e-2, weight_decay=0.0, context=12, batch=4)
    noise = torch.randint(0, 7, (240,), generator=torch.Generator().manual_seed(0))
    for mix in (0.0, 0.5):
        student = distill(
            LogitEnsemble(teacher),
            Plain(),
            noise if mix == 0 else PERIOD,
            mix=mix,
            epochs=40,
            lr=3e-2,
            context=12,
            batch=4,
        )
        assert loss_of(student) < 0.3
        assert not student.training


def test_real_text_alone_ignores_the_teacher():
    broken = nn.Identity()
    student = distill(broken, Plain(), PERIOD, mix=1.0, epochs=40, lr=3e-2, context=12, batch=4)
    assert loss_of(student) < 0.3


def test_given_text_is_not_drawn_again():
    drawn = PERIOD.view(4, 60)
    student = distill(
        nn.Identity(), Plain(), PERIOD, mix=0.5, synthetic=drawn, epochs=10, lr=3e-2, context=12, batch=4
    )
    assert loss_of(student) < 1.0


def test_bad_students_are_refused():
    teacher = Plain()
    with pytest.raises(ValueError, match="mix must lie between 0 and 1"):
        distill(teacher, Plain(), PERIOD, mix=1.5)
    with pytest.raises(ValueError, match="a piece of both kinds"):
        distill(teacher, Plain(), PERIOD, mix=0.1, batch=2, context=12)
    with pytest.raises(ValueError, match="temperature must be > 0"):
        sample_text(teacher, 10, start=PERIOD, temperature=0)
    with pytest.raises(ValueError, match="tokens and streams must be at least 1"):
        sample_text(teacher, 0, start=PERIOD)
