"""One stream out of several: shares, ends, workers, and what is refused."""

from __future__ import annotations

import sys
import types
from itertools import islice

import numpy as np
import pandas as pd
import pytest
import torch

from broadsheet.methods.scaling import interleave
from broadsheet.methods.scaling.regmix.interleaving import Interleaved

LETTERS = {"a": ["a"] * 50, "b": ["b"] * 50, "c": ["c"] * 50}


def counts(mixed, n):
    seen = list(islice(iter(mixed), n))
    return pd.Series(seen).value_counts(normalize=True)


def test_each_dataset_gets_its_share_and_readings_agree():
    mixed = interleave(LETTERS, {"c": 0.1, "a": 0.6, "b": 0.3}, seed=3, stop="never")
    found = counts(mixed, 20_000)
    assert np.allclose(found[["a", "b", "c"]], [0.6, 0.3, 0.1], atol=0.015)
    assert list(islice(iter(mixed), 500)) == list(islice(iter(mixed), 500))
    other = interleave(LETTERS, [0.6, 0.3, 0.1], seed=4, stop="never")
    assert list(islice(iter(mixed), 500)) != list(islice(iter(other), 500))


def test_the_first_end_is_the_end_and_nothing_is_read_twice():
    parts = {"a": range(100), "b": range(1000, 1020)}
    seen = list(interleave(parts, [0.5, 0.5]))
    assert len(set(seen)) == len(seen)
    assert set(range(1000, 1020)) <= set(seen) or set(range(100)) <= set(seen)
    for low, high in ((0, 100), (1000, 1020)):  # each in its own order
        own = [x for x in seen if low <= x < high]
        assert own == list(range(low, low + len(own)))


def test_until_all_have_ended_each_is_read_whole():
    seen = list(interleave({"a": range(5), "b": range(100, 160)}, [0.5, 0.5], stop="all_exhausted"))
    assert set(range(5)) | set(range(100, 160)) <= set(seen)
    assert seen.count(0) > 1


def test_a_share_of_nothing_leaves_a_dataset_out():
    assert set(interleave({"a": "aaaa", "b": ""}, {"a": 1.0, "b": 0.0})) == {"a"}


def test_an_empty_dataset_is_told_where_it_would_be_read_for_ever():
    with pytest.raises(ValueError, match="dataset 1 is empty"):
        list(interleave({"a": "aaaa", "b": ""}, [0.5, 0.5], stop="never"))


class Squares(torch.utils.data.Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, i):
        return i * i  # never an IndexError: its length is its end


class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter(range(-40, 0))


def test_torch_datasets_are_read_by_a_loader_whose_workers_share_them():
    mixed = interleave({"squares": Squares(), "stream": Stream()}, [0.5, 0.5], stop="all_exhausted")
    assert isinstance(mixed, torch.utils.data.IterableDataset)
    loader = torch.utils.data.DataLoader(mixed, batch_size=None, num_workers=0)
    assert set(loader) == {i * i for i in range(40)} | set(range(-40, 0))


def test_workers_read_disjoint_parts(monkeypatch):
    mixed = Interleaved([range(100), range(1000, 1100)], np.array([0.5, 0.5]), 0, "first_exhausted")
    seen = []
    for worker in range(2):
        info = types.SimpleNamespace(id=worker, num_workers=2)
        monkeypatch.setattr(torch.utils.data, "get_worker_info", lambda info=info: info)
        seen.append(list(mixed))
    assert not set(seen[0]) & set(seen[1])
    choices = [[x >= 1000 for x in part[:30]] for part in seen]
    assert choices[0] != choices[1]


def test_hugging_face_datasets_are_handed_to_their_own_function(monkeypatch):
    calls = []
    fake = types.ModuleType("datasets")
    fake.interleave_datasets = lambda parts, **how: calls.append((parts, how)) or "mixed"
    kind = type("Dataset", (), {"__module__": "datasets.arrow_dataset"})
    monkeypatch.setitem(sys.modules, "datasets", fake)
    one, two, three = kind(), kind(), kind()
    found = interleave({"a": one, "b": two, "c": three}, {"a": 0.25, "b": 0.75, "c": 0}, seed=5)
    assert found == "mixed"
    assert calls == [
        ([one, two], {"probabilities": [0.25, 0.75], "seed": 5, "stopping_strategy": "first_exhausted"})
    ]
    with pytest.raises(ValueError, match="repeat"):
        interleave([one, two], [0.5, 0.5], stop="never")
    assert interleave([one, two], [1.0, 0.0]) is one


@pytest.mark.parametrize(
    ("datasets", "weights", "how", "error", "message"),
    [
        (LETTERS, {"a": 0.5, "b": 0.5}, {}, ValueError, "no column 'c'"),
        (LETTERS, [0.5, 0.5], {}, ValueError, "3 columns, got 2"),
        (list(LETTERS.values()), {"x": 0.5, "y": 0.5}, {}, ValueError, "2 weights and 3 datasets"),
        (LETTERS, [0.5, 0.5, 0.5], {}, ValueError, "sums to 1.5"),
        (LETTERS, [1.5, -0.5, 0.0], {}, ValueError, "negative"),
        (["a"], [1.0], {}, ValueError, "at least two"),
        (LETTERS, [0.2, 0.3, 0.5], {"stop": "soon"}, ValueError, "first_exhausted, all_exhausted, never"),
        ([iter("ab"), "cd"], [0.5, 0.5], {}, TypeError, "readable from its beginning again"),
    ],
)
def test_what_cannot_be_mixed_is_refused(datasets, weights, how, error, message):
    with pytest.raises(error, match=message):
        interleave(datasets, weights, **how)
