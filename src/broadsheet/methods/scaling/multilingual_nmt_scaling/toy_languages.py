"""Toy languages to translate between, generated without end, whose irreducible loss is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ToyLanguages"]

Tokens = NDArray[np.int64]
PAD = 0
"""Token that starts a target sentence, as in T5."""


@dataclass(frozen=True)
class ToyLanguages:
    """An English-like source and two languages it is translated into, word by word and in context.

    An English sentence fills ``length`` slots (subject, verb, object, ...), each from words of its own. Every word has
    a gender; the genders of successive words form a Markov chain, and among the words of a slot and gender one is drawn
    by Zipf's law. Each other language has a lexicon of its own: the form of a word depends on the word and on the
    gender of the English word before it (a random permutation of the forms of its slot and gender, so that nothing is
    lost), and its slots stand in another order. In every language words of gender 0 have a second form, a synonym,
    chosen at random: this is the only thing that the source does not tell, so that the best possible loss is known.

    Args:
        words: Words of each slot, a multiple of ``genders``.
        genders: Number of genders, at least 2.
        length: Slots of a sentence, at least 2.
        synonym: Probability of the second form, 0 (no synonyms) to 0.5.
        zipf: Exponent of Zipf's law, >= 0.
        seed: Seed of grammar and lexicons.

    Raises:
        ValueError: if an argument is out of range.

    Source:
        Stands in for the paper's web-crawled sentence pairs (section on the experimental set-up).

    Example:
        >>> toy = ToyLanguages(words=16, genders=2, length=5, synonym=0.5, seed=1)
        >>> source, target = toy.pairs(3, "de", np.random.default_rng(0))
        >>> source.shape, target.shape
        ((3, 6), (3, 5))
        >>> round(toy.irreducible_loss(), 3)
        0.356
    """

    words: int = 16
    genders: int = 4
    length: int = 4
    synonym: float = 0.2
    zipf: float = 1.0
    seed: int = 0

    tasks = ("de", "zh")
    """The two languages. The names are the paper's; the languages are not."""

    def __post_init__(self) -> None:
        if self.genders < 2:
            raise ValueError(
                f"genders must be >= 2, got {self.genders!r}: with one no form depends on context"
            )
        if self.words < 2 * self.genders or self.words % self.genders:
            raise ValueError(
                f"words must be a multiple of genders ({self.genders}) and at least twice it, got {self.words!r}"
            )
        if self.length < 2:
            raise ValueError(f"length must be >= 2 slots, got {self.length!r}")
        if not 0 <= self.synonym <= 0.5:
            raise ValueError(
                f"synonym is the probability of a second form, between 0 and 0.5, got {self.synonym!r}"
            )
        if not self.zipf >= 0:
            raise ValueError(f"zipf must be >= 0, got {self.zipf!r}")
        rng = np.random.default_rng([self.seed, 7])
        rank = 1.0 / np.arange(1, self.words // self.genders + 1) ** self.zipf
        chain = 0.5 / self.genders + 0.5 * rng.dirichlet(np.ones(self.genders), self.genders)
        # forms[task, gender before, slot, gender, rank] = rank of the form among those of its slot and gender
        shape = (len(self.tasks), self.genders, self.length, self.genders, self.words // self.genders)
        forms = rng.permuted(np.broadcast_to(np.arange(shape[-1]), shape), axis=-1)
        object.__setattr__(self, "_chain", chain)
        object.__setattr__(self, "_within", rank / rank.sum())
        object.__setattr__(self, "_forms", forms)

    # --- The vocabulary: pad, two tags, English, then per language its forms and their synonyms ---------------

    @property
    def vocabulary(self) -> int:
        """Number of tokens, padding and tags included."""
        return 3 + (1 + len(self.tasks)) * self._forms_and_synonyms

    @property
    def _forms_and_synonyms(self) -> int:
        return self.lexicon + self.lexicon // self.genders

    @property
    def lexicon(self) -> int:
        """Number of English words: slots times words."""
        return self.words * self.length

    def tag(self, task: str) -> int:
        """Return the token that stands before the source and names the target language."""
        return 1 + self._number(task)

    def _number(self, task: str) -> int:
        if task not in self.tasks:
            raise ValueError(f"task must be one of {', '.join(self.tasks)}, got {task!r}")
        return self.tasks.index(task)

    # --- What is known about them -----------------------------------------------------------------------------

    @property
    def gender_shares(self) -> NDArray[np.float64]:
        """Share of each gender among words, (genders,): the chain's stationary distribution."""
        chain: NDArray[np.float64] = self._chain  # type: ignore[attr-defined]
        values, vectors = np.linalg.eig(chain.T)
        share = np.real(vectors[:, np.argmin(np.abs(values - 1.0))])
        return np.asarray(share / share.sum())

    def irreducible_loss(self) -> float:
        """Return the loss that no model can undercut, in either direction.

        Returns:
            Conditional entropy of the target given the source, nats per token: the share of words with a synonym
            times the entropy of the choice.
        """
        q = self.synonym
        choice = 0.0 if q == 0 else -(q * np.log(q) + (1 - q) * np.log1p(-q))
        return float(self.gender_shares[0] * choice)

    def source_entropy(self) -> float:
        """Return the entropy of English, nats per token: what a model loses that never looks at the source."""
        chain: NDArray[np.float64] = self._chain  # type: ignore[attr-defined]
        within: NDArray[np.float64] = self._within  # type: ignore[attr-defined]
        share = self.gender_shares
        first = -np.sum(share * np.log(share))
        later = -np.sum(share[:, None] * chain * np.log(chain))
        word = -np.sum(within * np.log(within))
        return float(word + self.irreducible_loss() + (first + (self.length - 1) * later) / self.length)

    # --- Sentences --------------------------------------------------------------------------------------------

    def english(self, shape: tuple[int, ...], rng: np.random.Generator) -> Tokens:
        r"""Draw English sentences.

        Args:
            shape: How many, as a shape.
            rng: Source of randomness.

        Returns:
            Word numbers 0 to ``lexicon`` - 1, (\*shape, length); word w fills slot
            ``w // words`` and has gender ``w % genders``.
        """
        within: NDArray[np.float64] = self._within  # type: ignore[attr-defined]
        steps = np.cumsum(self._chain, axis=1)  # type: ignore[attr-defined]
        uniform = rng.random((self.length, *shape))
        gender = np.empty((self.length, *shape), dtype=np.int64)
        gender[0] = (uniform[0][..., None] > np.cumsum(self.gender_shares)[:-1]).sum(-1)
        for slot in range(1, self.length):
            gender[slot] = (uniform[slot][..., None] > steps[gender[slot - 1]][..., :-1]).sum(-1)
        rank = np.searchsorted(np.cumsum(within)[:-1], rng.random((self.length, *shape)))
        word = np.moveaxis(rank * self.genders + gender, 0, -1)
        return np.asarray(word + self.words * np.arange(self.length))

    def translate(self, english: Tokens, task: NDArray[np.int64] | str, rng: np.random.Generator) -> Tokens:
        """Translate English sentences.

        Args:
            english: Word numbers, (..., length).
            task: The language, or the number of the language of each sentence (0 for the first), (...).
            rng: Draws the synonyms.

        Returns:
            Tokens of the translations, (..., length).
        """
        forms: Tokens = self._forms  # type: ignore[attr-defined]
        number = np.full(english.shape[:-1], self._number(task)) if isinstance(task, str) else task
        number = number[..., None]
        slot, gender = np.arange(self.length), english % self.genders
        before = np.concatenate([np.zeros_like(gender[..., :1]), gender[..., :-1]], axis=-1)
        rank = forms[number, before, slot, gender, english % self.words // self.genders]
        form = (rank + slot * forms.shape[-1]) * self.genders + gender
        token = self._written(form, gender, rng) + (1 + number) * self._forms_and_synonyms
        last_first = np.roll(token, 1, axis=-1)
        return np.where(number == 0, last_first, token[..., ::-1])

    def _written(self, form: Tokens, gender: Tokens, rng: np.random.Generator) -> Tokens:
        """Return tokens of a language that stands first in the vocabulary, with synonyms drawn."""
        second = (gender == 0) & (rng.random(form.shape) < self.synonym)
        return np.asarray(3 + np.where(second, self.lexicon + form // self.genders, form))

    def pairs(
        self,
        count: int | tuple[int, ...],
        task: NDArray[np.int64] | str,
        rng: np.random.Generator,
        direction: str = "out of English",
    ) -> tuple[Tokens, Tokens]:
        r"""Draw sentence pairs; no sentence is kept, so that a training run never sees its data twice.

        Args:
            count: How many, or a shape.
            task: The language, or the number of the language of each sentence, of that shape.
            rng: Source of randomness.
            direction: ``"out of English"`` (a shared source; the tag names the target language) or
                ``"into English"`` (a shared target).

        Returns:
            Source tokens, (\*count, length + 1) with the tag before the sentence, and target tokens,
            (\*count, length).

        Raises:
            ValueError: if task or direction is unknown.
        """
        if direction not in ("out of English", "into English"):
            raise ValueError(f"direction must be 'out of English' or 'into English', got {direction!r}")
        shape = (count,) if isinstance(count, int) else tuple(count)
        number = np.full(shape, self._number(task)) if isinstance(task, str) else np.asarray(task)
        english = self.english(shape, rng)
        foreign = self.translate(english, number, rng)
        english = self._written(english, english % self.genders, rng)
        source, target = (english, foreign) if direction == "out of English" else (foreign, english)
        return np.concatenate([1 + number[..., None], source], axis=-1), target
