"""Draws many continuations of one prompt from a causal model, without walking any common beginning twice."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

__all__ = ["HFSampler", "TruncatedSamplingWarning", "uniform_streams"]

_Path = tuple[Any, int] | None
"""A continuation as its last token and the continuation before it, so that common beginnings are kept once."""


class TruncatedSamplingWarning(UserWarning):
    """Sampling that gives some answers the probability 0 exactly."""


def uniform_streams(seed: int, first: int, count: int, length: int) -> NDArray[np.float64]:
    """Return the uniform numbers of some samples; sample i has the same ones in whatever batch it is drawn.

    Args:
        seed: Seed of the prompt.
        first: Index of the first sample.
        count: Number of samples.
        length: Numbers per sample.

    Returns:
        (count, length); in [0, 1).

    Example:
        >>> whole = uniform_streams(7, 0, 10, 5)
        >>> bool((whole[4:6] == uniform_streams(7, 4, 2, 5)).all())
        True
    """
    quads = -(-length // 4)  # Philox makes four numbers per step of its counter
    stream = np.random.Philox(key=int(seed) % 2**64, counter=first * quads)
    return np.random.Generator(stream).random((count, 4 * quads))[:, :length]


class HFSampler:
    """Samples continuations of a prompt from a causal model of Hugging Face's kind.

    The prompt is run once. Samples that begin alike share one row of the batch until they part, so the work grows with
    the number of distinct beginnings, not of samples. Sample i of a seed is the same in any batch, up to the
    rounding of the model's arithmetic, which may depend on the batch.

    Args:
        model: The model; its cache must support reordering (that of transformers' decoders does).
        tokenizer: Its tokenizer.
        temperature: Divides the logits, > 0. It is part of what a pass rate means.
        top_p: Share of probability that is kept, in (0, 1]; below 1, with a warning: answers outside it can never pass.
        max_new_tokens: Tokens of a continuation at most, the end token included.
        stop_token_ids: Tokens that end a continuation; by default those of the model's generation configuration,
            else the tokenizer's end token.
        strip: Whether special tokens are left out of the text.

    Raises:
        ValueError: if an argument is out of range, or there is no end token.

    Warns:
        TruncatedSamplingWarning: if ``top_p`` is below 1.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        tokenizer: Any,
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_new_tokens: int = 64,
        *,
        stop_token_ids: Iterable[int] | None = None,
        strip: bool = True,
    ) -> None:
        if not temperature > 0.0 or not np.isfinite(temperature):
            raise ValueError(
                f"temperature must be > 0, got {temperature!r}: at 0 every sample is the same, and a prompt that "
                "fails once fails for ever"
            )
        if not 0.0 < top_p <= 1.0:
            raise ValueError(f"top_p must lie in (0, 1], got {top_p!r}")
        if max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, got {max_new_tokens!r}")
        if top_p < 1.0:
            warnings.warn(
                f"top_p={top_p:g} gives every answer outside the nucleus the probability 0 exactly; its pass rate is "
                "that of the truncated model",
                TruncatedSamplingWarning,
                stacklevel=2,
            )
        self.model = model
        self.tokenizer = tokenizer
        self.temperature = float(temperature)
        self.top_p = float(top_p)
        self.max_new_tokens = int(max_new_tokens)
        self.strip = strip
        self._begun: tuple[Any, torch.Tensor, Any] | None = None
        self.stop_token_ids = frozenset(
            stop_token_ids if stop_token_ids is not None else _ends(model, tokenizer)
        )
        if not self.stop_token_ids:
            raise ValueError("neither model nor tokenizer names an end token; give stop_token_ids=")

    @property
    def settings(self) -> dict[str, Any]:
        """What a pass rate depends on besides model and prompt."""
        return {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_new_tokens": self.max_new_tokens,
        }

    def __call__(self, prompt: str, n: int, seed: int) -> list[str]:
        """Return samples 0 to n - 1 of a seed: see :meth:`sample`."""
        return self.sample(prompt, 0, n, seed)

    def sample(self, prompt: str, first: int, count: int, seed: int) -> list[str]:
        """Draw samples of a prompt by their index.

        Args:
            prompt: The prompt, at least one token.
            first: Index of the first sample, >= 0.
            count: Number of samples, >= 1.
            seed: Seed of the prompt.

        Returns:
            ``count`` continuations without the prompt, in the order of their index.

        Raises:
            ValueError: if the prompt has no tokens, or an index is out of range.
        """
        if first < 0 or count < 1:
            raise ValueError(f"first must be >= 0 and count >= 1, got first={first!r}, count={count!r}")
        tokens = list(self.tokenizer(prompt)["input_ids"])
        end = self.tokenizer.eos_token_id
        if len(tokens) > 1 and tokens[-1] == end and not prompt.endswith(self.tokenizer.eos_token or "\0"):
            tokens = tokens[:-1]  # some tokenizers close every text with the end token
        if not tokens:
            raise ValueError(
                f"the prompt {prompt!r} has no tokens; a sampler needs at least one to start from"
            )
        uniform = uniform_streams(seed, first, count, self.max_new_tokens)
        if not self.model.training:
            paths, ends = self._walk(tokens, uniform)
        else:
            self.model.eval()
            try:
                paths, ends = self._walk(tokens, uniform)
            finally:
                self.model.train()
        texts = self.tokenizer.batch_decode(paths, skip_special_tokens=self.strip)
        return [texts[i] for i in ends]

    def _walk(
        self, prompt: list[int], uniform: NDArray[np.float64]
    ) -> tuple[list[list[int]], NDArray[np.int64]]:
        """Walk the tree of distinct continuations; return them, and which one each sample took."""
        import torch

        device = next(self.model.parameters()).device
        samples = np.arange(len(uniform))  # those still under way
        node = np.zeros(len(uniform), np.int64)  # the row of the batch on which each of them stands
        paths: list[_Path] = [None]  # one per row of the batch
        finished: list[list[int]] = []
        ends = np.zeros(len(uniform), np.int64)
        with torch.inference_mode():
            bounds, cache = self._begin(prompt)
            ending = np.zeros(bounds.shape[1], bool)
            ending[[t for t in self.stop_token_ids if t < len(ending)]] = True
            for step in range(self.max_new_tokens):
                token = _invert(bounds, node, uniform[samples, step])
                width = bounds.shape[1]
                children, child = np.unique(node * width + token, return_inverse=True)
                parent, chosen = children // width, children % width
                over = ending[chosen] | (step + 1 == self.max_new_tokens)
                grown = [(paths[row], t) for row, t in zip(parent.tolist(), chosen.tolist(), strict=True)]
                # Every child is either a finished continuation or a row of the next batch.
                place = np.where(over, len(finished) + np.cumsum(over) - 1, np.cumsum(~over) - 1)
                done = over[child]
                ends[samples[done]] = place[child[done]]
                finished += [_tokens(path) for path, stop in zip(grown, over, strict=True) if stop]
                if over.all():
                    break
                paths = [path for path, stop in zip(grown, over, strict=True) if not stop]
                samples, node = samples[~done], place[child[~done]]
                cache.reorder_cache(torch.from_numpy(parent[~over]).to(device))
                ids = torch.from_numpy(chosen[~over]).to(device)[:, None]
                out = self.model(input_ids=ids, past_key_values=cache, use_cache=True)
                cache, bounds = out.past_key_values, self._cumulative(out.logits[:, -1])
        return finished, ends

    def _begin(self, prompt: list[int]) -> tuple[torch.Tensor, Any]:
        """Run the prompt, or take what it gave when the batch before had the same one and the same weights."""
        import torch

        weights = tuple(
            (p.data_ptr(), 0 if p.is_inference() else p._version) for p in self.model.parameters()
        )
        key = (tuple(prompt), weights, self.temperature, self.top_p)
        if self._begun is None or self._begun[0] != key:
            ids = torch.tensor([prompt], device=next(self.model.parameters()).device)
            out = self.model(input_ids=ids, use_cache=True)
            self._begun = (key, self._cumulative(out.logits[:, -1]), out.past_key_values)
        # A cache grows in place; the one of the prompt alone has a single row and is quick to copy.
        return self._begun[1], copy.deepcopy(self._begun[2])

    def _cumulative(self, logits: torch.Tensor) -> torch.Tensor:
        """Return cumulated probabilities, in double precision: a rate of 1e-5 is lost in the last digits of float32."""
        import torch

        p = torch.softmax(logits.double() / self.temperature, -1)
        if self.top_p < 1.0:
            ranked, order = p.sort(-1, descending=True)
            outside = ranked.cumsum(-1) - ranked >= self.top_p
            p = p.masked_fill(torch.zeros_like(outside).scatter(-1, order, outside), 0.0)
        return p.cumsum(-1)


def _invert(bounds: torch.Tensor, row: NDArray[np.int64], uniform: NDArray[np.float64]) -> NDArray[np.int64]:
    """Draw a token for each sample from the distribution of its row, by inverting the distribution function."""
    import torch

    # Rows are laid end to end (row i covers i to i + 1), so that one sorted search serves all samples.
    scaled = bounds / bounds[:, -1:]
    lifted = scaled + torch.arange(len(scaled), device=scaled.device, dtype=scaled.dtype)[:, None]
    wanted = torch.from_numpy(row + uniform).to(scaled.device)
    found = torch.searchsorted(lifted.reshape(-1), wanted, right=True)
    token = found - torch.from_numpy(row).to(found.device) * scaled.shape[1]
    return token.clamp_(0, scaled.shape[1] - 1).cpu().numpy()


def _tokens(path: _Path) -> list[int]:
    found = []
    while path is not None:
        path, token = path
        found.append(token)
    return found[::-1]


def _ends(model: Any, tokenizer: Any) -> list[int]:
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    if configured is None:
        configured = tokenizer.eos_token_id
    if configured is None:
        return []
    return list(configured) if isinstance(configured, (list, tuple)) else [int(configured)]
