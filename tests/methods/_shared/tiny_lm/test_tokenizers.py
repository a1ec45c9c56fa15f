from __future__ import annotations

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet.methods._shared.tiny_lm import (
    BPETokenizer,
    ByteTokenizer,
    CharacterTokenizer,
    generated_documents,
)
from broadsheet.methods._shared.tiny_lm.tokenizers import END, encode_documents, from_json

pytest.importorskip("tokenizers")

any_text = st.text(st.characters(exclude_categories=["Cs"]))


@functools.cache
def bpe() -> BPETokenizer:
    return BPETokenizer.train(list(generated_documents())[:60], vocab_size=400)


@given(any_text)
def test_bytes_and_bpe_bring_any_text_back(text: str) -> None:
    for tokenizer in (bpe(), ByteTokenizer()):
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert all(0 <= i < tokenizer.vocab_size and i != tokenizer.end for i in ids)


@given(any_text)
def test_characters_bring_their_own_text_back(text: str) -> None:
    tokenizer = CharacterTokenizer.train([text])
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert len(tokenizer.encode(text)) == len(text)


@pytest.mark.parametrize(
    "text", [END, f"a {END} b", "  two  blanks ", "\n\r\n\t", "e\u0301 \u00e9", "\U0001f469\u200d\U0001f680"]
)
def test_awkward_texts_come_back(text: str) -> None:
    assert bpe().decode(bpe().encode(text)) == text
    assert bpe().end not in bpe().encode(text)


def test_a_character_outside_the_alphabet_is_refused() -> None:
    with pytest.raises(ValueError, match="text holds 'z', which is not in the alphabet of 2 characters"):
        CharacterTokenizer("ab").encode("abz")
    with pytest.raises(ValueError, match="each character once"):
        CharacterTokenizer("aba")


def test_training_is_deterministic_and_compresses() -> None:
    texts = list(generated_documents())[:60]
    again = BPETokenizer.train(texts, vocab_size=400)
    assert again.to_json() == bpe().to_json()
    assert again.vocab_size == 400
    assert len(again.encode(texts[0])) < 0.6 * len(texts[0])


def test_a_vocabulary_without_room_for_the_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least 257 .* got 200"):
        BPETokenizer.train(["a"], vocab_size=200)


@pytest.mark.parametrize("make", [bpe, ByteTokenizer, lambda: CharacterTokenizer("abc d")])
def test_json_brings_the_tokenizer_back(make) -> None:
    first = make()
    again = from_json(first.to_json())
    assert again.encode("abba cad") == first.encode("abba cad")
    assert (again.vocab_size, again.end) == (first.vocab_size, first.end)


def test_documents_are_ended_one_by_one() -> None:
    letters = CharacterTokenizer("ab")
    assert encode_documents(letters, ["ab", "", "b"]).tolist() == [1, 2, 0, 0, 2, 0]
    assert encode_documents(letters, []).size == 0
    assert letters.decode([1, 0, 2]) == f"a{END}b"


def test_a_vocabulary_beyond_16_bits_is_refused() -> None:
    wide = CharacterTokenizer("".join(chr(0x10000 + i) for i in range(66_000)))
    with pytest.raises(ValueError, match="at most 65536"):
        encode_documents(wide, ["x"])
