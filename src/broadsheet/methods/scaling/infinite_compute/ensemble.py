"""An ensemble that predicts with the mean of its members' logits, as one model."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["EnsembleOutput", "LogitEnsemble", "combine", "logits_of"]

Mode = Literal["logit", "prob"]


@dataclass
class EnsembleOutput:
    """What a forward pass of an ensemble gives, under the names of Hugging Face's outputs.

    Args:
        logits: (batch, time, vocabulary); with ``mode="prob"`` the logarithms of the mean probabilities.
        loss: Mean next-token loss where labels were given, nats per token.
    """

    logits: Tensor
    loss: Tensor | None = None


def logits_of(output: Any) -> Tensor:
    """Return the logits of a model's output: a tensor, or an object or dict that has ``logits``.

    Raises:
        TypeError: if there are none.
    """
    if isinstance(output, Tensor):
        return output
    logits = output.get("logits") if isinstance(output, dict) else getattr(output, "logits", None)
    if not isinstance(logits, Tensor):
        raise TypeError(
            f"a member must return logits, or an output with .logits, got {type(output).__name__}"
        )
    return logits


def combine(logits: Tensor, mode: Mode = "logit") -> Tensor:
    """Combine the logits of members.

    Args:
        logits: (members, …, vocabulary).
        mode: ``logit``: their mean, after which the softmax gives the normalised geometric mean of the members'
            probabilities; ``prob``: the logarithm of the mean of probabilities.

    Returns:
        (…, vocabulary).

    Example:
        >>> two = torch.tensor([[[0.0, 2.0]], [[0.0, -2.0]]])
        >>> combine(two)
        tensor([[0., 0.]])

    Source:
        Section on the ensembling recipe: the softmax of averaged logits.
    """
    if mode == "logit":
        return logits.mean(0)
    if mode == "prob":
        return torch.logsumexp(F.log_softmax(logits, dim=-1), dim=0) - torch.log(
            torch.tensor(float(len(logits)))
        )
    raise ValueError(f"mode must be 'logit' or 'prob', got {mode!r}")


class LogitEnsemble(nn.Module):
    """Members with one vocabulary as one causal language model.

    Members stay in evaluation mode whatever is asked of the ensemble: dropout in a member would be noise. With
    the mean of logits the ensemble's loss never exceeds the mean of its members' losses, on any text: the loss is
    a convex function of the logits.

    Args:
        models: At least two causal language models that map token ids (batch, time) to logits, or to an output
            with ``.logits``: Hugging Face models, or modules of one's own.
        mode: ``logit`` (the authors') or ``prob``.

    Raises:
        ValueError: if there are fewer than two members, one stands there twice, or vocabularies differ.

    Example:
        >>> first, second = (nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 5)) for _ in range(2))
        >>> ensemble = LogitEnsemble([first, second])
        >>> ensemble(torch.tensor([[0, 1, 2]])).logits.shape
        torch.Size([1, 3, 5])
    """

    def __init__(self, models: Sequence[nn.Module], mode: Mode = "logit") -> None:
        super().__init__()
        listed = list(models)
        if len(listed) < 2:
            raise ValueError(f"models must hold at least 2 members, got {len(listed)}")
        if len({id(model) for model in listed}) < len(listed):
            raise ValueError(
                "models must hold different members, but one stands there twice: copy.deepcopy it"
            )
        sizes = [_vocabulary(model) for model in listed]
        if len({size for size in sizes if size is not None}) > 1:
            raise ValueError(f"members must share one vocabulary, got sizes {sizes}")
        if mode not in ("logit", "prob"):
            raise ValueError(f"mode must be 'logit' or 'prob', got {mode!r}")
        self.models = nn.ModuleList(listed)
        self.mode = mode
        self.config = getattr(listed[0], "config", None)
        self._stacked: _Stacked | None = None
        self.eval()

    def __len__(self) -> int:
        return len(self.models)

    def train(self, mode: bool = True) -> LogitEnsemble:
        """Set the ensemble's flag; members stay in evaluation mode."""
        self.training = mode
        for model in self.models:
            model.eval()
        return self

    def stack(self) -> LogitEnsemble:
        """Evaluate all members in one call from now on, by ``torch.func.vmap`` over stacked parameters.

        For members of one architecture. It pays where a pass does little work: many small members, or one text
        that is being drawn. For large batches on a CPU one member after the other is faster. The stacked
        parameters are copies: later changes to members do not reach them.

        Returns:
            The ensemble itself.

        Raises:
            ValueError: if architectures differ.
        """
        self._stacked = _Stacked(list(self.models))
        return self

    def member_logits(self, input_ids: Tensor, **inputs: Any) -> Tensor:
        """Return the logits of every member, (members, batch, time, vocabulary).

        Raises:
            ValueError: if the members' vocabularies turn out to differ.
        """
        if self._stacked is not None:
            return self._stacked(input_ids, **inputs)
        each = [logits_of(model(input_ids, **_accepted(model, inputs))) for model in self.models]
        if len({logits.shape[-1] for logits in each}) > 1:
            raise ValueError(
                f"members must share one vocabulary, got sizes {[logits.shape[-1] for logits in each]}"
            )
        return torch.stack(each)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        **inputs: Any,
    ) -> EnsembleOutput:
        """Predict the token after each position.

        Args:
            input_ids: Token ids, (batch, time).
            attention_mask: 1 for tokens, 0 for padding, (batch, time); given to members that take one.
            labels: Token ids, (batch, time): shifted by one here, -100 where a token does not count.
            **inputs: Given to members that take them.

        Returns:
            Combined logits, and the loss where labels were given.
        """
        if attention_mask is not None:
            inputs["attention_mask"] = attention_mask
        logits = combine(self.member_logits(input_ids, **inputs), self.mode)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
        return EnsembleOutput(logits, loss)

    @torch.no_grad()
    def generate(
        self,
        input_ids: Tensor,
        max_new_tokens: int = 20,
        *,
        do_sample: bool = False,
        temperature: float = 1.0,
        top_k: int | None = None,
        eos_token_id: int | None = None,
        context: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Continue texts with the ensemble's own distribution.

        Each new token takes one pass of every member over the whole text (or its last ``context`` tokens).

        Args:
            input_ids: Token ids, (batch, time), time >= 1.
            max_new_tokens: Number of tokens to add, >= 1.
            do_sample: Draw tokens; otherwise the likeliest is taken.
            temperature: Divides the logits when drawing, > 0.
            top_k: Draw among the likeliest ones only.
            eos_token_id: Ends a text, which is then filled up with it.
            context: Tokens that members read, at most; all where it is not given.
            generator: Source of randomness for drawing.

        Returns:
            Token ids with the new ones, (batch, time + new).

        Raises:
            ValueError: if a setting is out of range.
        """
        if input_ids.ndim != 2 or input_ids.shape[1] < 1:
            raise ValueError(
                f"input_ids must be (batch, time) with time >= 1, got shape {tuple(input_ids.shape)}"
            )
        for name, value, good in (
            ("max_new_tokens", max_new_tokens, max_new_tokens >= 1),
            ("temperature", temperature, temperature > 0),
            ("top_k", top_k, top_k is None or top_k >= 1),
        ):
            if not good:
                raise ValueError(f"{name} must be positive, got {value!r}")
        ended = torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        for _ in range(max_new_tokens):
            seen = input_ids if context is None else input_ids[:, -context:]
            logits = self(seen).logits[:, -1]
            token = _next(logits, do_sample, temperature, top_k, generator)
            if eos_token_id is not None:
                token = torch.where(ended, eos_token_id, token)
                ended |= token == eos_token_id
            input_ids = torch.cat([input_ids, token[:, None]], 1)
            if ended.all():
                break
        return input_ids


def _next(
    logits: Tensor, do_sample: bool, temperature: float, top_k: int | None, generator: torch.Generator | None
) -> Tensor:
    if not do_sample:
        return logits.argmax(-1)
    logits = logits / temperature
    if top_k is not None and top_k < logits.shape[-1]:
        least = logits.topk(top_k).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]


def _vocabulary(model: nn.Module) -> int | None:
    """Return the size of a model's vocabulary where it tells."""
    for owner in (getattr(model, "config", None), model):
        size = getattr(owner, "vocab_size", None)
        if isinstance(size, int):
            return size
    return None


def _accepted(model: nn.Module, inputs: dict[str, Any]) -> dict[str, Any]:
    """Return those inputs that the model's forward takes."""
    if not inputs:
        return {}
    taken = inspect.signature(model.forward).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in taken.values()):
        return inputs
    return {name: value for name, value in inputs.items() if name in taken}


class _Stacked:
    """All members as one function: parameters with a leading axis, mapped over by ``vmap``."""

    def __init__(self, models: Sequence[nn.Module]) -> None:
        shapes = [{name: (p.shape, p.dtype) for name, p in m.state_dict().items()} for m in models]
        if any(type(m) is not type(models[0]) for m in models) or any(s != shapes[0] for s in shapes):
            raise ValueError(
                f"members must share one architecture to be stacked, got {[type(m).__name__ for m in models]}"
            )
        self.parameters, self.buffers = torch.func.stack_module_state(list(models))
        self.base = copy.deepcopy(models[0]).to("meta").eval()

    def __call__(self, input_ids: Tensor, **inputs: Any) -> Tensor:
        kept = _accepted(self.base, inputs)

        def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
            return logits_of(torch.func.functional_call(self.base, (parameters, buffers), (input_ids,), kept))

        mapped: Tensor = torch.func.vmap(one)(self.parameters, self.buffers)
        return mapped
