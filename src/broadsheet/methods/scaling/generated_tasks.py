"""Tasks with generated questions and one right answer each, and small decoders that are trained on them alike.

The claims of several papers of this family need a ladder of models of growing size on a task whose difficulty and
chance level are known. Questions are drawn afresh for every step of training, so nothing is seen twice but by chance.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from broadsheet.methods._shared.fresh_seeds import fresh_seed
from broadsheet.methods._shared.tiny_lm import TinyLM, TinyLMConfig
from broadsheet.methods._shared.training_cache import Kept, Trained, kept

if TYPE_CHECKING:
    from broadsheet.claims import Run

__all__ = [
    "HARD",
    "LADDER",
    "SMOOTH",
    "STEEP",
    "Addition",
    "Decoder",
    "Plan",
    "Recall",
    "Task",
    "ladder",
    "questions",
    "symbol_tokenizer",
    "trained_decoder",
]

_SYMBOLS = "0123456789+=>"
_END = len(_SYMBOLS)
_CODES = np.full(128, -1)
_CODES[[ord(c) for c in _SYMBOLS]] = np.arange(len(_SYMBOLS))

LADDER = tuple({"d_model": width, "heads": 2, "layers": 2} for width in (12, 20, 32, 52, 80))
"""Shapes of decoders of about 3 k to 160 k weights outside the embedding; all of one depth."""


class Task(Protocol):
    """Draws questions with their answers; all questions have one length, and so have all answers."""

    def draw(self, rng: np.random.Generator, count: int) -> tuple[list[str], list[str]]:
        """Return questions and answers."""

    @property
    def key(self) -> dict[str, Any]:
        """What the task depends on, as JSON types."""


@dataclass(frozen=True)
class Addition:
    """Sums of two numbers, ``"034+571="`` to ``"0605"``.

    Args:
        digits: Digits of either number; the sum has one more. Guessing it has the chance ``10^-(digits + 1)``.

    Example:
        >>> Addition(2).draw(np.random.default_rng(0), 1)
        (['85+63='], ['148'])
    """

    digits: int = 3

    def draw(self, rng: np.random.Generator, count: int) -> tuple[list[str], list[str]]:
        """Return questions and answers."""
        pairs = rng.integers(0, 10**self.digits, (count, 2)).tolist()
        questions = [f"{a:0{self.digits}d}+{b:0{self.digits}d}=" for a, b in pairs]
        return questions, [f"{a + b:0{self.digits + 1}d}" for a, b in pairs]

    @property
    def key(self) -> dict[str, Any]:
        """What the task depends on."""
        return {"task": "addition", **asdict(self)}


@dataclass(frozen=True)
class Recall:
    """Values of keys, ``"0417>"`` to ``"831"``; a key is drawn with a frequency that falls as a power of its rank.

    Args:
        keys: Number of keys, at most 10,000.
        exponent: Of the frequencies.
        seed: Of the values.

    Example:
        >>> questions, answers = Recall(100).draw(np.random.default_rng(0), 2)
        >>> [len(q) for q in questions], [len(a) for a in answers]
        ([5, 5], [3, 3])
    """

    keys: int = 2000
    exponent: float = 1.0
    seed: int = 0

    def draw(self, rng: np.random.Generator, count: int) -> tuple[list[str], list[str]]:
        """Return questions and answers."""
        names, values, edges = _book(self.keys, self.exponent, self.seed)
        taken = np.searchsorted(edges, rng.random(count), side="right")
        return [f"{names[i]:04d}>" for i in taken], [f"{values[i]:03d}" for i in taken]

    @property
    def key(self) -> dict[str, Any]:
        """What the task depends on."""
        return {"task": "recall", **asdict(self)}


@functools.cache
def _book(keys: int, exponent: float, seed: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    names, values = rng.permutation(10_000)[:keys], rng.integers(0, 1000, keys)
    share = np.arange(1, keys + 1.0) ** -exponent
    edges = np.cumsum(share / share.sum())
    edges[-1] = 1.0
    return names, values, edges


@functools.cache
def symbol_tokenizer() -> Any:
    """Return the tokenizer of the tasks as a ``transformers`` tokenizer: a token per symbol and an end token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {symbol: i for i, symbol in enumerate(_SYMBOLS)} | {"<end>": _END}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<end>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = decoders.Fuse()
    made: Any = PreTrainedTokenizerFast
    return made(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>")


def _ids(texts: Sequence[str]) -> NDArray[np.int64]:
    return _CODES[np.frombuffer("".join(texts).encode(), np.uint8)].reshape(len(texts), -1)


@dataclass(frozen=True)
class Decoder:
    """A trained decoder.

    Attributes:
        model: As a ``transformers`` causal model.
        N: Weights outside the embedding.
        tokens: Tokens trained on.
        cpu_seconds: CPU time of its training, whenever that was.
        key: Fingerprint of what it was trained on and how.
    """

    model: Any
    N: int
    tokens: int
    cpu_seconds: float
    key: str


def trained_decoder(
    task: Task, shape: dict[str, int], *, steps: int, batch: int = 128, seed: int = 0, lr: float = 0.0
) -> Decoder:
    """Return a decoder trained on a task, from the cache where it was trained before.

    Adam with decoupled decay of 0.1, 5 % warm-up and a cosine down to a tenth; the loss counts answers and their end
    token. All sizes see the same questions in the same order, once each.

    Args:
        task: The task.
        shape: Fields of :class:`~broadsheet.methods._shared.tiny_lm.TinyLMConfig`.
        steps: Updates.
        batch: Questions per update.
        seed: Seed of weights and questions.
        lr: Peak rate; 0: ``0.01 (32 / d_model)^0.5``, so that no size is tuned more than another.

    Returns:
        The decoder, in evaluation mode.

    Raises:
        ValueError: if ``steps`` or ``batch`` is below 1.
    """
    if steps < 1 or batch < 1:
        raise ValueError(f"steps and batch must be at least 1, got steps={steps!r}, batch={batch!r}")
    config = TinyLMConfig(vocab_size=_END + 1, max_context=32, **shape)
    rate = lr or 0.01 * (32 / config.d_model) ** 0.5
    key = {
        "purpose": "decoder on a generated task",
        **task.key,
        "shape": shape,
        "steps": steps,
        "batch": batch,
        "lr": rate,
        "seed": seed,
    }
    found: Kept = kept(key, lambda: _train(task, config, steps, batch, rate, seed), code=[__name__])
    model = TinyLM(config, seed=seed)
    model.load_state_dict(dict(found.tensors))
    llama = model.to_hf().eval()
    llama.generation_config.eos_token_id = _END
    llama.generation_config.pad_token_id = _END
    return Decoder(
        llama,
        model.non_embedding_parameters,
        int(found.value["tokens"]),
        found.cpu_seconds,
        found.folder.name,
    )


@dataclass(frozen=True)
class Plan:
    """A task, the shapes trained on it, and how long.

    Args:
        task: The task.
        shapes: Shapes of decoders, from small to large.
        steps: Updates of each, by scale.
        batch: Questions per update.
    """

    task: Task
    shapes: Sequence[dict[str, int]]
    steps: Mapping[str, int]
    batch: int = 192


STEEP = Plan(
    Addition(2),
    tuple({"d_model": width, "heads": 2, "layers": 2} for width in (12, 20, 28, 40, 56)),
    {"smoke": 10, "laptop": 400, "paper": 4000},
)
"""Addition with answers of 3 digits: models find how digits add, and the carry, at different sizes."""
HARD = Plan(Addition(3), LADDER[:2], {"smoke": 40, "laptop": 250, "paper": 2000})
"""Addition with answers of 4 digits, small models only: a pass in some hundred or thousand samples."""
SMOOTH = Plan(Recall(1000, 1.0), LADDER, {"smoke": 30, "laptop": 250, "paper": 2000})
"""Recall of values of keys with a long tail: the larger the model, the further down the tail it reaches."""


def questions(task: Task, count: int) -> list[dict[str, Any]]:
    """Return items for measuring, the same for all models: ``id``, ``prompt``, ``answer``."""
    prompts, answers = task.draw(np.random.default_rng(20_231_005), count)
    return [
        {"id": i, "prompt": p, "answer": a} for i, (p, a) in enumerate(zip(prompts, answers, strict=True))
    ]


def ladder(run: Run, plan: Plan, seed: int) -> list[Decoder]:
    """Return the trained decoders of a plan, trained now or found in the cache."""
    torch.set_num_threads(1)
    shapes = plan.shapes if run.scale != "smoke" else plan.shapes[:4]
    steps = plan.steps[run.scale]
    return [
        trained_decoder(plan.task, shape, steps=steps, batch=plan.batch, seed=fresh_seed(run, seed))
        for shape in run.progress(shapes, label="decoders")
    ]


def _train(task: Task, config: TinyLMConfig, steps: int, batch: int, lr: float, seed: int) -> Trained:
    model = TinyLM(config, seed=seed)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    scales = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": scales, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95), foreach=True)
    rng = np.random.default_rng([seed, 1])
    tokens = 0
    for step in range(steps):
        share = min((step + 1) / max(1.0, 0.05 * steps), 0.55 + 0.45 * np.cos(np.pi * step / steps))
        for group in optimiser.param_groups:
            group["lr"] = lr * share
        questions, answers = task.draw(rng, batch)
        before, after = _ids(questions), _ids(answers)
        ids = np.concatenate([before, after, np.full((batch, 1), _END)], axis=1)
        labels = ids.copy()
        labels[:, : before.shape[1]] = -100
        tokens += ids.size
        loss = model(torch.from_numpy(ids), labels=torch.from_numpy(labels)).loss
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    return Trained({"tokens": tokens, "loss": float(loss.detach())}, model.state_dict())
