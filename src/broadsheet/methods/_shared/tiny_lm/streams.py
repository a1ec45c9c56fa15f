"""Text and token sequences that are made on the spot: sources of known entropy that never repeat."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

__all__ = ["MarkovSource", "Stream", "generated_documents"]

_BLOCK = 256  # sequences drawn at once; what a sequence holds depends on its number only, never on the batch
_HELD_OUT = 1  # the second word of the key of validation sequences; training sequences have 0


class Stream:
    """An endless source of sequences for training: subclass it and write :meth:`draw`.

    Sequence i depends on the seed, i and the length alone. Two runs with other batch sizes see the same
    sequences in the same order, and validation sequences are drawn with a key of their own.

    Args:
        vocab_size: Number of tokens.
        bytes_per_token: What bits per byte are computed with; 1 makes them bits per token.

    Example:
        >>> class Copy(Stream):
        ...     '''Random symbols, twice: only the second half can be known.'''
        ...     def draw(self, rng, count, length):
        ...         half = rng.integers(0, self.vocab_size, (count, -(-length // 2)))
        ...         ids = np.concatenate([half, half], axis=1)[:, :length]
        ...         return ids, np.arange(length) >= half.shape[1]
        >>> ids, scored = Copy(10).sequences(0, 2, 8, seed=0)
        >>> bool((ids[:, :4] == ids[:, 4:]).all()), scored[0].sum()
        (True, np.int64(4))
    """

    name = "stream"

    def __init__(self, vocab_size: int, bytes_per_token: float = 1.0) -> None:
        if vocab_size < 2:
            raise ValueError(f"vocab_size must be at least 2, got {vocab_size}")
        self.vocab_size = vocab_size
        self.bytes_per_token = bytes_per_token
        self._last: tuple[tuple[int, ...], np.ndarray, np.ndarray | None] | None = None

    def draw(
        self, rng: np.random.Generator, count: int, length: int
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Draw sequences.

        Args:
            rng: The only source of randomness.
            count: Number of sequences.
            length: Tokens in each.

        Returns:
            (count, length) ids; or these and a mask, (count, length) or (length,), of the tokens whose
            prediction is scored.
        """
        raise NotImplementedError

    def sequences(
        self, start: int, count: int, length: int, *, seed: int
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return training sequences ``start`` to ``start + count``.

        Returns:
            (count, length) ids and the mask of scored tokens, or None where all are.
        """
        return self._numbered(start, count, length, (seed, 0))

    def validation_sequences(self, tokens: int | None, length: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return fixed sequences that training never draws from, ``tokens`` predictions in all.

        Raises:
            ValueError: if ``tokens`` is None: a stream has no end.
        """
        if tokens is None:
            raise ValueError("tokens must be given for a stream, which has no end")
        return self._numbered(0, -(-tokens // (length - 1)), length, (0, _HELD_OUT))

    def _numbered(
        self, start: int, count: int, length: int, key: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        ids, masks = [], []
        at = start
        while at < start + count:
            block, begin = divmod(at, _BLOCK)
            end = min(_BLOCK, begin + start + count - at)
            all_ids, all_masks = self._block(block, length, key)
            ids.append(all_ids[begin:end])
            masks.append(None if all_masks is None else all_masks[begin:end])
            at += end - begin
        whole = ids[0] if len(ids) == 1 else np.concatenate(ids)
        given = [mask for mask in masks if mask is not None]
        return whole, np.concatenate(given) if given else None

    def _block(self, block: int, length: int, key: tuple[int, int]) -> tuple[np.ndarray, np.ndarray | None]:
        name = (*key, block, length)
        if self._last is None or self._last[0] != name:
            drawn = self.draw(np.random.default_rng(np.random.SeedSequence(name)), _BLOCK, length)
            ids, mask = drawn if isinstance(drawn, tuple) else (drawn, None)
            ids = np.asarray(ids)
            if ids.shape != (_BLOCK, length):
                raise ValueError(f"draw must return ids of shape {(_BLOCK, length)}, got {ids.shape}")
            if ids.min() < 0 or ids.max() >= self.vocab_size:
                raise ValueError(
                    f"draw must return ids from 0 to {self.vocab_size - 1}, got {ids.min()} to {ids.max()}"
                )
            self._last = (name, ids, None if mask is None else np.broadcast_to(mask, ids.shape))
        return self._last[1], self._last[2]


class MarkovSource(Stream):
    """Symbols whose distribution depends on the ``order`` symbols before, with an entropy known exactly.

    The transition table is random: each row is Dirichlet with mean proportional to ``1 / rank**zipf`` (one
    ranking for all rows, so that symbols differ in frequency) and total ``concentration``. The sequence starts
    in the stationary distribution.

    Args:
        symbols: Number of symbols.
        order: How many symbols the next one depends on, 1 to 3.
        concentration: Small: nearly deterministic rows. Large: all rows alike, nothing to learn beyond order 0.
        zipf: Exponent of the symbols' mean frequencies; 0 makes them equal.
        seed: Seed of the table.

    Attributes:
        table: (symbols**order, symbols) probabilities; a row's number is the context read as digits, oldest first.
        stationary: (symbols**order,) probabilities of the contexts.

    Raises:
        ValueError: if an argument is out of range, or the table would have more than 20 million entries.

    Example:
        >>> source = MarkovSource(symbols=8, seed=0)
        >>> bool(0 < source.entropy_rate < source.unigram_loss < np.log(8))
        True
    """

    name = "markov"

    def __init__(
        self, symbols: int = 32, order: int = 2, concentration: float = 2.0, zipf: float = 1.0, seed: int = 0
    ) -> None:
        super().__init__(symbols)
        if not 1 <= order <= 3:
            raise ValueError(f"order must be 1, 2 or 3, got {order}")
        if concentration <= 0:
            raise ValueError(f"concentration must be above 0, got {concentration}")
        if symbols ** (order + 1) > 20_000_000:
            raise ValueError(
                f"symbols={symbols} with order={order} needs {symbols ** (order + 1)} entries; take fewer"
            )
        self.order, self.concentration, self.zipf, self.seed = order, concentration, zipf, seed
        rng = np.random.default_rng(np.random.SeedSequence([seed, symbols, order]))
        mean = np.arange(1, symbols + 1, dtype=float) ** -zipf
        shape = np.broadcast_to(concentration * mean / mean.sum(), (symbols**order, symbols))
        # A small floor keeps every transition possible: the chain has one stationary distribution.
        weight = rng.standard_gamma(shape) + 1e-6 * shape
        self.table = weight / weight.sum(axis=1, keepdims=True)
        self.stationary = self._stationary()
        self._cumulative = np.cumsum(self.table, axis=1)
        self._cumulative[:, -1] = 1.0

    @property
    def fingerprint(self) -> str:
        """What tells this source from another, for the key of a cache."""
        return (
            f"markov symbols={self.vocab_size} order={self.order} concentration={self.concentration} "
            f"zipf={self.zipf} seed={self.seed}"
        )

    def _step(self, contexts: np.ndarray) -> np.ndarray:
        """Return the distribution of contexts one symbol later."""
        joint = contexts[:, None] * self.table
        return np.asarray(joint.reshape(self.vocab_size, -1).sum(axis=0))

    def _stationary(self) -> np.ndarray:
        contexts = np.full(len(self.table), 1.0 / len(self.table))
        for _ in range(10_000):
            # The mean of two steps converges where the chain is nearly periodic as well.
            following = (contexts + self._step(contexts)) / 2
            if np.abs(following - contexts).sum() < 1e-13:
                break
            contexts = following
        return np.asarray(following / following.sum())

    @property
    def entropy_rate(self) -> float:
        """Nats per symbol given all symbols before: no model can have a lower expected loss."""
        return float(self.stationary @ _entropy(self.table))

    @property
    def unigram_loss(self) -> float:
        """Nats per symbol of a model that knows the symbols' frequencies only."""
        return float(_entropy(self._frequencies(1)))

    def expected_loss(self, context: int) -> float:
        """Return the mean loss of a perfect model over sequences of ``context`` predictions.

        The first predictions of a sequence have fewer than ``order`` symbols to go by, so it is a little above
        :attr:`entropy_rate`.
        """
        if context < 1:
            raise ValueError(f"context must be at least 1, got {context}")
        short = [self._block_entropy(k + 1) - self._block_entropy(k) for k in range(1, self.order)][:context]
        return float((sum(short) + (context - len(short)) * self.entropy_rate) / context)

    def _frequencies(self, length: int) -> np.ndarray:
        """Return the probabilities of blocks of ``length <= order`` symbols."""
        return np.asarray(self.stationary.reshape(self.vocab_size**length, -1).sum(axis=1))

    def _block_entropy(self, length: int) -> float:
        return float(_entropy(self._frequencies(length)))

    def draw(self, rng: np.random.Generator, count: int, length: int) -> np.ndarray:
        """Draw sequences that start in the stationary distribution: (count, length) ids."""
        size = self.vocab_size
        uniform = rng.random((length, count))
        context = np.searchsorted(np.cumsum(self.stationary), rng.random(count)).clip(max=len(self.table) - 1)
        ids = np.empty((length, count), dtype=np.int64)
        for t in range(length):
            ids[t] = (self._cumulative[context] <= uniform[t][:, None]).sum(axis=1)
            context = context % (size ** (self.order - 1)) * size + ids[t]
        return ids.T


def _entropy(p: np.ndarray) -> np.ndarray:
    """Return the entropy in nats over the last axis."""
    return np.asarray(-np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1))


# --- A generated language ------------------------------------------------------------------------------------

_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"
_DOCUMENTS, _SENTENCES = 600, 8


def generated_documents(seed: int = 0) -> Iterator[str]:
    """Make texts of a small invented language: about 200 kB from a probabilistic grammar.

    Its words are random syllables with Zipf frequencies; nouns and verbs agree in number, and a text keeps to a
    few nouns. It stands in where no other text is present, and says nothing about real language.

    Args:
        seed: Seed of the words and of the texts.

    Yields:
        600 texts of eight sentences.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 600]))
    words = _invent(rng, 900)
    nouns, verbs, adjectives, names = words[:400], words[400:600], words[600:800], words[800:]
    for _ in range(_DOCUMENTS):
        topic = [nouns[i] for i in _zipf(rng, len(nouns), 12)]
        yield " ".join(_sentence(rng, topic, verbs, adjectives, names) for _ in range(_SENTENCES))


def _invent(rng: np.random.Generator, count: int) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        syllables = rng.integers(1, 4)
        found[
            "".join(_CONSONANTS[rng.integers(14)] + _VOWELS[rng.integers(5)] for _ in range(syllables + 1))
        ] = None
    return list(found)


def _zipf(rng: np.random.Generator, size: int, count: int) -> np.ndarray:
    weight = 1.0 / np.arange(2, size + 2)
    return np.searchsorted(np.cumsum(weight / weight.sum()), rng.random(count)).clip(max=size - 1)


def _phrase(
    rng: np.random.Generator, topic: list[str], adjectives: list[str], depth: int
) -> tuple[str, bool]:
    """Return a noun phrase and whether it is plural."""
    plural = bool(rng.random() < 0.4)
    noun = topic[_zipf(rng, len(topic), 1)[0]] + ("s" if plural else "")
    parts = ["the" if rng.random() < 0.6 else ("some" if plural else "a")]
    if rng.random() < 0.4:
        parts.append(adjectives[_zipf(rng, len(adjectives), 1)[0]])
    parts.append(noun)
    if depth and rng.random() < 0.25:
        parts += [("of", "near", "with")[rng.integers(3)], _phrase(rng, topic, adjectives, depth - 1)[0]]
    return " ".join(parts), plural


def _sentence(
    rng: np.random.Generator, topic: list[str], verbs: list[str], adjectives: list[str], names: list[str]
) -> str:
    if rng.random() < 0.3:
        subject, plural = names[_zipf(rng, len(names), 1)[0]].capitalize(), False
    else:
        subject, plural = _phrase(rng, topic, adjectives, 2)
    verb = verbs[_zipf(rng, len(verbs), 1)[0]] + ("" if plural else "t")
    text = f"{subject} {verb} {_phrase(rng, topic, adjectives, 1)[0]}"
    if rng.random() < 0.2:
        text += f", and {_sentence(rng, topic, verbs, adjectives, names)[:-1].lower()}"
    return text[0].upper() + text[1:] + "."
