"""The callback, driven through the Trainer where accelerate is installed, else through its callback interface."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from torch import nn

transformers = pytest.importorskip("transformers")
from transformers.trainer_callback import CallbackHandler, TrainerControl, TrainerState  # noqa: E402

from broadsheet.methods.scaling.average_parameters import (  # noqa: E402
    GradualMagnitudePruner,
    SparsePretrainingCallback,
)

HAS_ACCELERATE = importlib.util.find_spec("accelerate") is not None


def llama():
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=16,
    )
    return transformers.LlamaForCausalLM(config)


def drive(model, callback, total, accumulate=1, first=0, stop=None):
    """Call what the Trainer calls, in its order, around a real optimiser."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    handler = CallbackHandler([callback], model, None, optimizer, None)
    state, control = TrainerState(max_steps=total, global_step=first), TrainerControl()
    handler.on_train_begin(None, state, control)
    data = torch.Generator().manual_seed(1)
    for step in range(first, total if stop is None else stop):
        handler.on_step_begin(None, state, control)
        for _ in range(accumulate):
            x = torch.randint(32, (2, 8), generator=data)
            model(input_ids=x, labels=x).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        state.global_step = step + 1
        handler.on_step_end(None, state, control)
        if (step + 1) % 20 == 0:
            logs = {"loss": 1.0}
            state.log_history.append({**logs, "step": step + 1})
            handler.on_log(None, state, control, logs)
    if stop is None:
        handler.on_train_end(None, state, control)
    return state


def test_through_the_callback_interface():
    model = llama()
    callback = SparsePretrainingCallback(sparsity=0.75, frequency=2)
    state = drive(model, callback, total=80, accumulate=2)
    linear = [m.weight for name, m in model.named_modules() if isinstance(m, nn.Linear) and name != "lm_head"]
    size = sum(w.numel() for w in linear)
    assert callback.pruner.dense_parameters == size
    assert sum(int((w != 0).sum()) for w in linear) == callback.pruner.live_parameters == size // 4
    assert model.lm_head.weight.ne(0).all()
    assert callback.pruner.history["steps"].sum() == 80
    counts = [row["live_parameters"] for row in state.log_history]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == size // 4
    assert state.log_history[-1]["average_parameters"] == pytest.approx(callback.pruner.average_parameters)


def test_resuming_goes_on_where_the_checkpoint_was():
    model = llama()
    callback = SparsePretrainingCallback(GradualMagnitudePruner(0.75, frequency=2))
    drive(model, callback, total=80, stop=30)
    plain = llama()
    plain.load_state_dict(model.state_dict(), strict=False)
    again = SparsePretrainingCallback(sparsity=0.75, frequency=2)
    drive(plain, again, total=80, first=30)
    assert again.pruner.live_parameters == again.pruner.dense_parameters // 4
    assert list(again.pruner.history["live"])[:4] == list(callback.pruner.history["live"])[:4]


def test_settings_are_given_once():
    with pytest.raises(TypeError, match="give a pruner, or the settings of one"):
        SparsePretrainingCallback()
    with pytest.raises(TypeError, match="not both"):
        SparsePretrainingCallback(GradualMagnitudePruner(0.5), sparsity=0.5)


@pytest.mark.skipif(not HAS_ACCELERATE, reason="the Trainer itself needs accelerate: pip install accelerate")
def test_a_real_training_and_its_resumption_agree(tmp_path):
    rows = [torch.randint(32, (8,), generator=torch.Generator().manual_seed(k)) for k in range(100)]
    data = [{"input_ids": row, "labels": row} for row in rows]
    ended = []
    for resume in (None, str(tmp_path / "checkpoint-40")):
        settings = transformers.TrainingArguments(
            output_dir=str(tmp_path),
            max_steps=60,
            per_device_train_batch_size=2,
            gradient_accumulation_steps=2,
            learning_rate=1e-2,
            save_steps=40,
            logging_steps=20,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        )
        callback = SparsePretrainingCallback(sparsity=0.75, frequency=1)
        trainer = transformers.Trainer(model=llama(), args=settings, train_dataset=data, callbacks=[callback])
        trainer.train(resume_from_checkpoint=resume)
        assert callback.pruner.live_parameters == callback.pruner.dense_parameters // 4
        ended.append(trainer.model.state_dict())
    assert list(ended[0]) == list(ended[1])
    assert all(torch.equal(ended[0][name], ended[1][name]) for name in ended[0])
