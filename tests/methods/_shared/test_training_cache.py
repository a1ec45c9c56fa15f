from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from broadsheet.methods._shared import training_cache
from broadsheet.methods._shared.training_cache import NotKept, Trained, fingerprint, kept


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("BROADSHEET_HOME", str(tmp_path / "home"))


def never():
    raise AssertionError("computed again")


def test_a_result_is_computed_once_and_the_same_on_hit_and_miss() -> None:
    key = {"preset": "nano", "seed": 1, "shape": (2, 3)}
    first = kept(key, lambda: {"loss": np.float64(2.5), "curve": np.arange(3), "pair": (1, 2)})
    again = kept(key, never)
    assert (first.hit, again.hit) == (False, True)
    assert first.value == again.value == {"loss": 2.5, "curve": [0, 1, 2], "pair": [1, 2]}
    assert again.cpu_seconds == first.cpu_seconds


def test_tensors_come_back_with_their_bits_even_where_two_share_memory() -> None:
    weight = torch.randn(3, 4)
    made = {"a": weight, "b": weight, "part": weight.T[1:]}
    first = kept({"tensors": True}, lambda: Trained({"loss": 1.0}, made))
    again = kept({"tensors": True}, never)
    for found in (first, again):
        assert set(found.tensors) == set(made)
        assert all(torch.equal(found.tensors[name], tensor) for name, tensor in made.items())
    assert again.value == {"loss": 1.0}


def test_a_trained_model_is_reused() -> None:
    from broadsheet.methods._shared.tiny_lm import MarkovSource, TinyLM, TinyLMConfig, train

    config = TinyLMConfig(vocab_size=6, d_model=8, heads=2, layers=1)

    def compute() -> Trained:
        run = train(TinyLM(config), MarkovSource(symbols=6), steps=2, batch=2, context=8, eval_tokens=80)
        return Trained(run.summary(), run.model.state_dict())

    first, again = kept(config.to_dict(), compute), kept(config.to_dict(), never)
    model = TinyLM(config, seed=9)
    model.load_state_dict(dict(again.tensors))
    ids = torch.arange(6)[None]
    fresh = TinyLM(config)
    fresh.load_state_dict(dict(first.tensors))
    assert torch.equal(model(ids).logits, fresh(ids).logits)
    assert again.value["tokens"] == 32


def test_the_key_decides_and_its_order_does_not() -> None:
    one = fingerprint({"a": 1, "b": 2})
    assert one == fingerprint({"b": 2, "a": 1}) == fingerprint({"a": np.int64(1), "b": 2})
    assert one != fingerprint({"a": 1, "b": 3})
    assert one != fingerprint({"a": 1, "b": 2}, threads=torch.get_num_threads() + 1)
    assert one == fingerprint({"a": 1, "b": 2}, threads=torch.get_num_threads())


def test_torch_decides(monkeypatch) -> None:
    one = fingerprint({})
    monkeypatch.setattr(training_cache, "_torch_version", lambda: "0.0")
    assert fingerprint({}) != one


def test_code_decides(tmp_path, monkeypatch) -> None:
    package = tmp_path / "trained_with"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "loop.py").write_text("rate = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    one = fingerprint({}, code=["trained_with"])
    import trained_with

    assert fingerprint({}, code=[trained_with]) == one
    assert fingerprint({}, code=["trained_with.loop"]) != one != fingerprint({})
    (package / "loop.py").write_text("rate = 22\n")
    assert fingerprint({}, code=["trained_with"]) != one


def test_the_trainer_always_counts(monkeypatch) -> None:
    one = fingerprint({})
    monkeypatch.setattr(training_cache, "_files_hash", lambda files: "changed")
    assert fingerprint({}) != one


def test_two_processes_compute_once(tmp_path) -> None:
    code = textwrap.dedent("""
        import pathlib, sys, time
        from broadsheet.methods._shared.training_cache import kept
        def compute():
            with open(sys.argv[1], "a") as file:
                file.write("computed\\n")
            time.sleep(1)
            return {"loss": 1.5}
        print(kept({"purpose": "two at once"}, compute, threads=1).value)
    """)
    told = tmp_path / "told"
    command = [sys.executable, "-c", code, str(told)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate(timeout=100)[0] for process in both]
    assert answers == ["{'loss': 1.5}\n"] * 2
    assert told.read_text() == "computed\n"


def test_a_computation_that_fails_leaves_nothing_behind() -> None:
    def fails():
        raise ArithmeticError("diverged")

    with pytest.raises(ArithmeticError):
        kept({"fails": 1}, fails)
    assert kept({"fails": 1}, lambda: 3).value == 3


@pytest.mark.parametrize("damage", ["result", "tensors", "gone"])
def test_a_damaged_entry_is_computed_again(damage: str) -> None:
    first = kept({"damaged": 1}, lambda: Trained(1, {"w": torch.ones(2)}))
    name = {"result": "result.json", "tensors": "tensors.safetensors", "gone": "tensors.safetensors"}[damage]
    if damage == "gone":
        (first.folder / name).unlink()
    else:
        (first.folder / name).write_bytes(b"{")
    again = kept({"damaged": 1}, lambda: Trained(2, {"w": torch.zeros(2)}))
    assert (again.hit, again.value) == (False, 2)
    assert kept({"damaged": 1}, never).value == 2


def test_hits_and_misses_are_told(caplog) -> None:
    with caplog.at_level(logging.INFO):
        kept({"seed": 4}, lambda: 1)
        kept({"seed": 4}, never)
    assert [record.message.split()[0] for record in caplog.records if "seed=4" in record.message] == [
        "computing",
        "found",
    ]


def test_a_cache_that_cannot_be_written_is_told_and_gone_without(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BROADSHEET_HOME", str(tmp_path / "file"))
    with pytest.warns(NotKept, match="not kept; name a folder that can be with BROADSHEET_HOME"):
        assert kept({}, lambda: 7).value == 7


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(TypeError, match="key must be made of JSON types, it holds a object"):
        kept({"model": object()}, never)
    with pytest.raises(TypeError, match="the result must be made of JSON types, it holds a Tensor"):
        kept({"a": 1}, lambda: {"loss": torch.ones(1)})
    with pytest.raises(TypeError, match="key must be a mapping"):
        kept(["a"], never)
    with pytest.raises(TypeError, match=r"tensors\['w'\] must be a tensor, got a list"):
        kept({"a": 2}, lambda: Trained(1, {"w": [1]}))
    with pytest.raises(ValueError, match="'no_such_module' has none"):
        kept({}, never, code=["no_such_module"])


def test_nothing_half_written_stays(tmp_path) -> None:
    found = kept({"a": 3}, lambda: Trained(1, {"w": torch.ones(1)}))
    names = os.listdir(found.folder.parent)
    assert found.folder.name in names
    assert not [name for name in names if name.startswith(".half")]
