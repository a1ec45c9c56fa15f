"""The pruner on real modules: the published rule, what stays gone, what is counted, what is refused."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest
import torch
from torch import nn

from broadsheet.methods.scaling.average_parameters import GradualMagnitudePruner, ScheduleWarning
from broadsheet.methods.scaling.average_parameters.masks import global_threshold, kth_smallest

from . import reference


class Toy(nn.Module):
    """Embedding, two linear layers of unequal scale, a norm and a tied output."""

    def __init__(self, tied=True):
        super().__init__()
        self.tokens = nn.Embedding(12, 8)
        self.up = nn.Linear(8, 16)
        self.down = nn.Linear(16, 8, bias=False)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 12, bias=False)
        if tied:
            self.head.weight = self.tokens.weight
        with torch.no_grad():
            self.down.weight.mul_(3.0)

    def forward(self, x):
        return self.head(self.norm(self.down(torch.relu(self.up(self.tokens(x))))))


@pytest.fixture
def toy():
    torch.manual_seed(0)
    return Toy()


def train(model, pruner, total, optimizer=None, first=0, stop=None, tokens=None):
    optimizer = optimizer or torch.optim.AdamW(
        model.parameters(), lr=0.02, weight_decay=0.5, betas=(0.9, 0.95)
    )
    data = torch.Generator().manual_seed(5)
    for t in range(total if stop is None else stop):
        x = torch.randint(12, (6,), generator=data)
        if t < first:
            continue
        pruner.step(t, tokens=None if tokens is None else tokens(t))
        loss = nn.functional.cross_entropy(model(x), x.roll(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return optimizer


def prunable_of(model):
    return [model.up.weight, model.down.weight]


def test_every_event_is_the_published_rule(toy):
    total, sparsity = 150, 0.7
    pruner = GradualMagnitudePruner(sparsity, frequency=3).attach(toy, total)
    schedule = pruner.schedule
    optimizer = torch.optim.AdamW(toy.parameters(), lr=0.02)
    expected = [np.ones(tuple(w.shape), dtype=bool) for w in prunable_of(toy)]
    shares = iter(reference.keep_shares(schedule.n_events, sparsity))
    for t in range(total):
        if t in schedule.steps:
            before = [w.detach().numpy().copy() for w in prunable_of(toy)]
            expected = reference.prune(before, expected, next(shares))
        pruner.step(t)
        for weight, mask in zip(prunable_of(toy), expected, strict=True):
            assert np.array_equal(weight.detach().numpy() != 0, mask), t
        x = torch.randint(12, (6,), generator=torch.Generator().manual_seed(t))
        nn.functional.cross_entropy(toy(x), x.roll(1)).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert pruner.live_parameters == 76 == sum(m.sum() for m in expected)


def test_the_cut_is_global_unless_asked_for_by_layer(toy):
    by_layer = copy.deepcopy(toy)
    pruner = GradualMagnitudePruner(0.5, frequency=1).attach(toy, 20)
    train(toy, pruner, 20)
    layers = GradualMagnitudePruner(0.5, frequency=1, scope="layer").attach(by_layer, 20)
    train(by_layer, layers, 20)
    share = [float((w != 0).float().mean()) for w in prunable_of(toy)]
    assert share[0] < 0.45 < 0.55 < share[1]  # the layer of smaller weights loses more
    assert [int((w != 0).sum()) for w in prunable_of(by_layer)] == [64, 64]


def test_removed_weights_get_no_gradient_and_never_revive(toy):
    pruner = GradualMagnitudePruner(0.75, frequency=2).attach(toy, 50)
    optimizer = train(toy, pruner, 50, stop=30)
    gone = [w.detach() == 0 for w in prunable_of(toy)]
    assert all(mask.any() for mask in gone)
    x = torch.arange(12)
    toy(x).square().mean().backward()
    for layer, mask in zip((toy.up, toy.down), gone, strict=True):
        gradient = layer.parametrizations.weight.original.grad
        assert not gradient[mask].any()
        assert gradient[~mask].any()
    optimizer.step()  # weight decay and momentum alone move what is under the mask
    assert all(not w[mask].any() for w, mask in zip(prunable_of(toy), gone, strict=True))
    optimizer.zero_grad()
    train(toy, pruner, 50, optimizer, first=30)
    pruner.finalize()
    assert all(not w[mask].any() for w, mask in zip(prunable_of(toy), gone, strict=True))


def test_momentum_does_move_what_is_under_the_mask(toy):
    """The test above means something: without the mask the weights would be back."""
    pruner = GradualMagnitudePruner(0.75, frequency=2).attach(toy, 50)
    train(toy, pruner, 50, stop=30)
    original = toy.up.parametrizations.weight.original
    assert original[~toy.up.parametrizations.weight[0].live].any()


def test_finalize_leaves_the_plain_module_and_its_parameters(toy):
    names, identity = list(toy.state_dict()), id(toy.up.weight)
    pruner = GradualMagnitudePruner(0.75, frequency=2).attach(toy, 50)
    train(toy, pruner, 50)
    before = toy(torch.arange(12))
    assert pruner.finalize() is toy
    assert list(toy.state_dict()) == names
    assert id(toy.up.weight) == identity
    assert type(toy.up) is nn.Linear
    assert torch.equal(toy(torch.arange(12)), before)
    assert sum(int((w != 0).sum()) for w in prunable_of(toy)) == pruner.live_parameters == 64


def test_embedding_norm_bias_and_tied_output_stay_whole(toy):
    pruner = GradualMagnitudePruner(0.75, frequency=2).attach(toy, 50)
    assert pruner.dense_parameters == 8 * 16 + 16 * 8
    train(toy, pruner, 50)
    pruner.finalize()
    assert toy.head.weight is toy.tokens.weight
    assert toy.tokens.weight.ne(0).all()
    assert toy.up.bias.ne(0).all()


def test_names_can_be_excluded():
    model = Toy(tied=False)
    assert GradualMagnitudePruner(0.5, frequency=1).attach(model, 20).dense_parameters == 256 + 96
    model = Toy(tied=False)
    pruner = GradualMagnitudePruner(0.5, frequency=1, exclude=["head", "up"]).attach(model, 20)
    assert pruner.dense_parameters == 128


def test_layers_that_share_a_weight_count_once_and_share_the_mask():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8))
    model[2].weight = model[0].weight
    pruner = GradualMagnitudePruner(0.5, frequency=1).attach(model, 20)
    assert pruner.dense_parameters == 64
    for t in range(20):
        pruner.step(t)
        assert torch.equal(model[0].weight, model[2].weight)
    pruner.finalize()
    assert model[0].weight is model[2].weight
    assert int((model[0].weight != 0).sum()) == 32


def test_a_module_used_twice_counts_once():
    layer = nn.Linear(8, 8)
    pruner = GradualMagnitudePruner(0.5, frequency=1).attach(nn.Sequential(layer, layer), 20)
    assert pruner.dense_parameters == 64


def test_an_optimizer_made_before_attaching_keeps_working(toy):
    optimizer = torch.optim.SGD(toy.parameters(), lr=0.1)
    before = toy.up.weight.detach().clone()
    pruner = GradualMagnitudePruner(0.5, frequency=2).attach(toy, 50)
    train(toy, pruner, 50, optimizer, stop=5)
    assert not torch.equal(toy.up.weight, before)


def test_history_and_mean(toy):
    pruner = GradualMagnitudePruner(0.75, frequency=5).attach(toy, 200)
    train(toy, pruner, 200)
    schedule, history = pruner.schedule, pruner.history
    assert list(history["step"]) == [0, *schedule.steps]
    assert list(history["live"]) == [256, *(int(k * 256) for k in schedule.keep)]
    assert history["steps"].sum() == 200
    live = 256 * schedule.keep_at(np.arange(200))
    assert pruner.average_parameters == pytest.approx(live.mean(), abs=1)
    counted = np.repeat(history["live"], history["steps"])
    assert pruner.average_parameters == pytest.approx(counted.mean())
    assert np.isnan(history["threshold"][0])
    assert (history["threshold"][1:] > 0).all()


def test_the_mean_is_one_over_tokens_where_they_vary(toy):
    pruner = GradualMagnitudePruner(0.75, frequency=5).attach(toy, 200)
    train(toy, pruner, 200, tokens=lambda t: 10 if t < 100 else 30)
    history = pruner.history
    live = np.repeat(history["live"].to_numpy(), history["steps"])
    weight = np.where(np.arange(200) < 100, 10, 30)
    assert history["tokens"].sum() == 4000
    assert pruner.average_parameters == pytest.approx(np.average(live, weights=weight), rel=0.02)
    assert pruner.average_parameters < live.mean()


def test_tokens_come_at_every_step_or_at_none(toy):
    pruner = GradualMagnitudePruner(0.75, frequency=5).attach(toy, 200)
    pruner.step(0, tokens=10)
    with pytest.raises(ValueError, match=r"tokens must be given at every step or at none, got tokens=None"):
        pruner.step(1)
    with pytest.raises(ValueError, match="tokens must be > 0, got 0"):
        pruner.step(1, tokens=0)


def test_state_dict_holds_zeros_under_plain_names_and_loads_again(toy):
    torch.manual_seed(3)
    pruner = GradualMagnitudePruner(0.75, frequency=2).attach(toy, 50)
    optimizer = train(toy, pruner, 50, stop=40)
    file = io.BytesIO()
    torch.save(toy.state_dict(), file)
    file.seek(0)
    saved = torch.load(file)
    assert {"up.weight", "up.weight_mask", "down.weight_mask"} <= set(saved)
    assert not any("parametrizations" in name for name in saved)
    assert not saved["up.weight"][~saved["up.weight_mask"]].any()

    plain = Toy()
    missing, unexpected = plain.load_state_dict(saved, strict=False)
    assert (missing, sorted(unexpected)) == ([], ["down.weight_mask", "up.weight_mask"])
    assert torch.equal(plain(torch.arange(12)), toy(torch.arange(12)))

    resumed = Toy()
    again = GradualMagnitudePruner(0.75, frequency=2).attach(resumed, 50, step=40)
    resumed.load_state_dict(saved)
    assert again.live_parameters == pruner.live_parameters
    assert not resumed.up.weight[~saved["up.weight_mask"]].any()
    other = torch.optim.AdamW(resumed.parameters(), lr=0.02, weight_decay=0.5, betas=(0.9, 0.95))
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(toy, pruner, 50, optimizer, first=40)
    train(resumed, again, 50, other, first=40)
    assert torch.equal(resumed(torch.arange(12)), toy(torch.arange(12)))
    assert again.average_parameters == pytest.approx(pruner.average_parameters)
    with pytest.raises(RuntimeError, match=r"weight_mask|parametrizations"):
        resumed.load_state_dict(Toy().state_dict())  # a state without masks is no state of a pruned model


def test_resuming_takes_masks_from_zeros(toy):
    pruner = GradualMagnitudePruner(0.75, frequency=2).attach(toy, 50)
    train(toy, pruner, 50, stop=20)
    plain = Toy()
    plain.load_state_dict(toy.state_dict(), strict=False)
    again = GradualMagnitudePruner(0.75, frequency=2).attach(plain, 50, step=20)
    assert again.live_parameters == pruner.live_parameters < 256
    assert list(again.history["live"]) == list(pruner.history["live"])
    assert list(again.history["steps"]) == list(pruner.history["steps"])
    with pytest.raises(ValueError, match="the next is 20, got t=0"):
        again.step(0)


def test_a_deep_copy_keeps_masks_and_names(toy):
    pruner = GradualMagnitudePruner(0.75, frequency=2).attach(toy, 50)
    train(toy, pruner, 50, stop=40)
    twin = copy.deepcopy(toy)
    assert torch.equal(twin(torch.arange(12)), toy(torch.arange(12)))
    assert list(twin.state_dict()) == list(toy.state_dict())


def test_random_scores_are_fixed_by_the_seed_and_ignore_magnitude():
    kept = []
    for scale in (1.0, 100.0):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(20, 20), nn.Linear(20, 20))
        with torch.no_grad():
            model[0].weight.mul_(scale)
        pruner = GradualMagnitudePruner(0.5, frequency=1, score="random", random_state=7).attach(model, 20)
        previous = torch.ones(800, dtype=torch.bool)
        for t in range(20):
            pruner.step(t)
            live = torch.cat([layer.weight.flatten() != 0 for layer in model])
            assert not (live & ~previous).any()
            previous = live
        kept.append(previous)
        assert previous[:400].float().mean() == pytest.approx(0.5, abs=0.1)
    assert torch.equal(*kept)
    assert int(kept[0].sum()) == 400
    assert not torch.equal(kept[0][:400], kept[0][400:])  # layers of one shape do not lose the same places


@pytest.mark.parametrize("sparsity", [0.5, 0.3])
def test_two_of_four_neighbours_stay(sparsity):
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(16, 12), nn.Linear(12, 8))
    with torch.no_grad():
        model[1].weight.mul_(4.0)
    pruner = GradualMagnitudePruner(sparsity, frequency=1, structure="2:4").attach(model, 40)
    for t in range(40):
        pruner.step(t)
    pruner.finalize()
    live = [(layer.weight != 0) for layer in model]
    per_four = torch.cat([mask.reshape(-1, 4).sum(1) for mask in live])
    assert per_four.min() >= 2
    if sparsity == 0.5:
        assert (per_four == 2).all()
    else:
        assert live[0].float().mean() < live[1].float().mean()
    assert pruner.live_parameters == int(np.ceil((1 - sparsity) * 288))


def test_two_of_four_is_the_rule_written_out():
    torch.manual_seed(4)
    model = nn.Sequential(nn.Linear(16, 12, bias=False))
    weight = model[0].weight.detach().numpy().copy()
    pruner = GradualMagnitudePruner(0.4, frequency=1, structure="2:4").attach(model, 20)
    for t in range(20):
        pruner.step(t)
    assert np.array_equal(model[0].weight.detach().numpy() != 0, reference.prune_fours(weight, 0.6))


def test_gpt2_layers_are_linear_layers_too():
    layers = pytest.importorskip("transformers.pytorch_utils")
    torch.manual_seed(0)
    model = nn.Sequential(layers.Conv1D(12, 8))  # weight (inputs 8, outputs 12)
    pruner = GradualMagnitudePruner(0.5, frequency=1, structure="2:4").attach(model, 20)
    for t in range(20):
        pruner.step(t)
    pruner.finalize()
    assert ((model[0].weight.t().reshape(-1, 4) != 0).sum(1) == 2).all()


def test_half_precision_weights():
    torch.manual_seed(0)
    model = nn.Linear(64, 64).to(torch.bfloat16)
    pruner = GradualMagnitudePruner(0.5, frequency=1, exclude=()).attach(nn.Sequential(model), 20)
    for t in range(20):
        pruner.step(t)
    assert model.weight.dtype is torch.bfloat16
    assert 2048 <= pruner.live_parameters <= 2048 + 0.01 * 4096


def test_weights_that_tie_are_announced():
    model = nn.Sequential(nn.Linear(8, 8))
    nn.init.ones_(model[0].weight)
    pruner = GradualMagnitudePruner(0.5, frequency=1).attach(model, 10)
    with pytest.warns(ScheduleWarning, match=r"64 weights stay, not \d+: many are equal"):
        pruner.step(0), pruner.step(1), pruner.step(2)


def test_no_sparsity_changes_nothing(toy):
    twin = copy.deepcopy(toy)
    pruner = GradualMagnitudePruner(0.0, frequency=2).attach(toy, 50)
    train(toy, pruner, 50)
    train(twin, GradualMagnitudePruner(0.0, frequency=2).attach(Toy(), 50), 50)
    assert pruner.average_parameters == pruner.live_parameters == 256
    assert torch.equal(pruner.finalize()(torch.arange(12)), twin(torch.arange(12)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sparsity": 1.0}, r"sparsity must lie in"),
        ({"start": 0.9}, r"0 <= start < end <= 1"),
        ({"unit": "epochs"}, r"unit must be 'compute' or 'steps'"),
        ({"scope": "row"}, r"scope must be one of 'global', 'layer', got 'row'"),
        ({"score": "gradient"}, r"score must be one of .*got 'gradient'"),
        ({"structure": "1:4"}, r"structure must be one of None, '2:4', got '1:4'"),
        ({"exclude": "head"}, r"exclude must be a list of names, got 'head': write \['head'\]"),
        ({"structure": "2:4", "sparsity": 0.6}, r"sparsity must be <= 0\.5, got 0\.6"),
        ({"structure": "2:4", "score": "random"}, r"leave one of the two out"),
    ],
)
def test_bad_settings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        GradualMagnitudePruner(**({"sparsity": 0.5} | arguments))


def test_models_that_cannot_be_pruned_are_refused_and_left_alone(toy):
    with pytest.raises(
        ValueError,
        match=r"no linear layer to prune outside exclude=\('up', 'down', 'head'\).*2 Linear|3 Linear",
    ):
        GradualMagnitudePruner(0.5, frequency=10, exclude=("up", "down", "head")).attach(toy, 1000)
    with pytest.raises(ValueError, match=r"input dimension that 4 divides, got 6 at '0'"):
        GradualMagnitudePruner(0.5, frequency=10, structure="2:4").attach(
            nn.Sequential(nn.Linear(6, 4)), 1000
        )
    with pytest.raises(ValueError, match=r"leaves none of the 2 prunable weights"):
        GradualMagnitudePruner(0.9, frequency=1).attach(nn.Sequential(nn.Linear(2, 1)), 1000)
    with pytest.raises(ValueError, match=r"fewer than two events"):
        GradualMagnitudePruner(0.5).attach(toy, 70)
    with pytest.raises(ValueError, match=r"step must lie in \[0, total_steps=1000\), got 1000"):
        GradualMagnitudePruner(0.5, frequency=10).attach(toy, 1000, step=1000)
    assert type(toy.up) is nn.Linear


def test_attaching_twice_is_refused(toy):
    pruner = GradualMagnitudePruner(0.5, frequency=1).attach(toy, 50)
    with pytest.raises(RuntimeError, match="make a new one for each training"):
        pruner.attach(Toy(), 50)
    with pytest.raises(ValueError, match=r"'up' is parametrised already"):
        GradualMagnitudePruner(0.5, frequency=1).attach(toy, 50)


def test_steps_come_in_order(toy):
    pruner = GradualMagnitudePruner(0.5, frequency=1)
    with pytest.raises(RuntimeError, match=r"call attach\(model, total_steps\) first"):
        pruner.step(0)
    with pytest.raises(RuntimeError, match=r"call attach"):
        pruner.finalize()
    pruner.attach(toy, 20)
    with pytest.raises(ValueError, match="history is empty"):
        _ = pruner.average_parameters
    pruner.step(0)
    for wrong in (0, 2, -1):
        with pytest.raises(ValueError, match=rf"the next is 1, got t={wrong}"):
            pruner.step(wrong)
    for t in range(1, 20):
        pruner.step(t)
    with pytest.raises(ValueError, match="t must lie below total_steps=20, got 20"):
        pruner.step(20)


def test_finishing_early_is_announced(toy):
    pruner = GradualMagnitudePruner(0.5, frequency=1).attach(toy, 50)
    train(toy, pruner, 50, stop=15)
    with pytest.warns(ScheduleWarning, match=r"finalize\(\) came at step 15, after \d+ of \d+ events"):
        pruner.finalize()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_threshold_is_the_sorted_one(dtype):
    scores = [torch.rand(50, generator=torch.Generator().manual_seed(k)).to(dtype) for k in range(4)]
    ranked = torch.cat(scores).sort().values
    for keep in (0.01, 0.3, 0.5, 0.995):
        assert global_threshold(scores, keep) == float(ranked[200 - round(keep * 200)])
    assert global_threshold(scores, 1.0) == 0.0
    assert global_threshold(scores, 0.001) == float("inf")
    assert kth_smallest(torch.tensor([2.0, 1.0]), 0) == 1.0
