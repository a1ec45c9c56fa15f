"""Training: one loop, deterministic for a thread count, resumable bit for bit.

The order of the data has a seed of its own, so two arms of a comparison see the same text; the initial weights
have theirs in :class:`~broadsheet.methods._shared.tiny_lm.model.TinyLM`.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from broadsheet.methods._shared.tiny_lm.checkpoints import read_checkpoint, write_checkpoint
from broadsheet.methods._shared.tiny_lm.evaluation import (
    DataSource,
    check_vocabulary,
    cross_entropy,
    evaluate,
    pair,
)

__all__ = ["NotFinite", "TrainingRun", "train"]

Callback = Callable[[int, nn.Module, torch.optim.Optimizer], object]
LossFunction = Callable[[nn.Module, Tensor, Tensor], Tensor]

_PEAK_LR = ((64, 8e-3), (96, 6e-3), (160, 4e-3), (256, 3e-3), (320, 2e-3))  # width of the presets, peak rate


class NotFinite(ArithmeticError):
    """The loss or the gradient is no longer a number; the message names step and learning rate."""


@dataclass(frozen=True)
class TrainingRun:
    """What a training run gives.

    Args:
        model: The trained model (the one that was given).
        curve: One row per evaluation: ``step``, ``tokens``, ``loss`` (validation, nats), ``bpb`` (bits per byte),
            ``train_loss`` (mean over the steps since the row before), ``lr``, ``cpu_s`` (of training alone).
        losses: (steps,) training loss before each update, nats.
        tokens: Tokens trained on.
        cpu_seconds: CPU time of training, evaluations not counted.
        settings: All that the run was asked for, as JSON types.
    """

    model: nn.Module
    curve: pd.DataFrame
    losses: np.ndarray
    tokens: int
    cpu_seconds: float
    settings: dict[str, Any]

    @property
    def steps(self) -> int:
        """Number of updates."""
        return len(self.losses)

    @property
    def loss(self) -> float:
        """Validation loss at the end, nats per token."""
        return float(self.curve["loss"].iloc[-1])

    @property
    def bits_per_byte(self) -> float:
        """Validation loss at the end, bits per byte."""
        return float(self.curve["bpb"].iloc[-1])

    @property
    def tokens_per_cpu_second(self) -> float:
        """Speed of training."""
        return self.tokens / max(self.cpu_seconds, 1e-9)

    def summary(self) -> dict[str, Any]:
        """Return the figures and the curve as JSON types, for a cache or a report."""
        return {
            "loss": self.loss,
            "bits_per_byte": self.bits_per_byte,
            "tokens": self.tokens,
            "steps": self.steps,
            "cpu_seconds": self.cpu_seconds,
            "curve": {name: column.tolist() for name, column in self.curve.items()},
            "settings": self.settings,
        }


def train(
    model: nn.Module,
    corpus: DataSource,
    *,
    tokens: int | None = None,
    steps: int | None = None,
    budget_seconds: float | None = None,
    batch: int | None = None,
    context: int = 128,
    lr: float | None = None,
    schedule: str = "cosine",
    warmup: float = 0.05,
    final_lr: float = 0.1,
    weight_decay: float = 0.1,
    betas: tuple[float, float] = (0.9, 0.95),
    eps: float = 1e-8,
    clip: float | None = 1.0,
    optimiser: Callable[[nn.Module], torch.optim.Optimizer] | None = None,
    loss_fn: LossFunction | None = None,
    callback: Callback | None = None,
    eval_every: float | None = None,
    eval_at: Iterable[int] = (),
    eval_tokens: int | None = 50_000,
    seed: int = 0,
    threads: int = 1,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 100,
) -> TrainingRun:
    """Train a model in place.

    Give exactly one of ``tokens``, ``steps`` and ``budget_seconds``.

    Args:
        model: :class:`TinyLM`, or any module that maps (batch, length) ids to logits or to an object with
            ``logits``.
        corpus: The text: a corpus or a stream.
        tokens: Tokens to train on, rounded down to whole steps.
        steps: Updates.
        budget_seconds: CPU seconds of training. The schedule then follows the CPU time, and the run is not
            reproducible.
        batch: Sequences per step; by default 32 up to a width of 64, else 16.
        context: Predictions per sequence.
        lr: Peak learning rate; by default read off the presets by width.
        schedule: ``"cosine"`` down to ``final_lr``, or ``"constant"`` after the warm-up.
        warmup: Linear warm-up: a fraction of the run below 1, or a number of steps from 1.
        final_lr: Fraction of ``lr`` at the end of the cosine.
        weight_decay: Of AdamW, on matrices only (the embedding is one).
        betas: Of AdamW.
        eps: Of AdamW.
        clip: Largest norm of the gradient; None for no limit.
        optimiser: Makes another optimiser from the model; ``weight_decay``, ``betas`` and ``eps`` are then unused.
            A parameter group's ``lr_scale`` multiplies the rate.
        loss_fn: ``loss_fn(model, inputs, targets)``, a scalar to descend; ids are (batch, context), targets those
            of the same position, -100 where not scored. Default: cross-entropy.
        callback: ``callback(step, model, optimiser)`` before each forward pass, steps counted from 0, the
            learning rate of the step already set. Where it has ``state_dict`` and ``load_state_dict``, checkpoints
            hold its state too.
        eval_every: Evaluate every so many steps, or at every such fraction of the run where below 1.
        eval_at: Evaluate after these numbers of steps as well; 0 is before the first. The end always is.
        eval_tokens: Validation tokens scored each time; None for all.
        seed: Seed of the order of the data (and of dropout and the like).
        threads: Threads of torch while it trains. Another number gives other last digits.
        checkpoint: A file. A run that finds it there continues from it, bit for bit as if never stopped.
        checkpoint_every: Steps between two checkpoints.

    Returns:
        The run; ``run.model`` is ``model``.

    Raises:
        ValueError: if an argument is out of range, model and corpus do not fit, or the checkpoint is of another
            run.
        NotFinite: if loss or gradient is no longer a number.

    Example:
        >>> from broadsheet.methods._shared.tiny_lm import MarkovSource, TinyLM, TinyLMConfig
        >>> source = MarkovSource(symbols=8, concentration=0.5)
        >>> model = TinyLM(TinyLMConfig(vocab_size=8, d_model=16, heads=2, layers=1))
        >>> run = train(model, source, steps=30, batch=8, context=32, lr=1e-2, eval_at=[0], eval_tokens=2_000)
        >>> bool(run.loss < run.curve["loss"][0])
        True
    """
    plan = _Plan(
        tokens=tokens,
        steps=steps,
        budget_seconds=budget_seconds,
        batch=batch if batch is not None else (32 if _width(model) <= 64 else 16),
        context=context,
        lr=lr if lr is not None else _peak(model),
        schedule=schedule,
        warmup=warmup,
        final_lr=final_lr,
        weight_decay=weight_decay,
        betas=tuple(betas),
        eps=eps,
        clip=clip,
        eval_every=eval_every,
        eval_at=tuple(sorted(set(eval_at))),
        eval_tokens=eval_tokens,
        seed=seed,
        threads=threads,
        checkpoint_every=checkpoint_every,
    )
    check_vocabulary(model, corpus)
    made = optimiser(model) if optimiser else plan.adamw(model)
    file = Path(checkpoint) if checkpoint is not None else None
    loop = _Loop(model, corpus, plan, made, loss_fn or cross_entropy, callback, file)
    return loop.run()


def _width(model: nn.Module) -> int:
    config = getattr(model, "config", None)
    return int(getattr(config, "d_model", None) or getattr(config, "hidden_size", None) or 64)


def _peak(model: nn.Module) -> float:
    """Return the presets' peak rate at the model's width, interpolated in logarithms."""
    widths, rates = np.log(np.array(_PEAK_LR)).T
    return float(np.exp(np.interp(math.log(_width(model)), widths, rates)))


@dataclass(frozen=True)
class _Plan:
    """All settings of a run, checked."""

    tokens: int | None
    steps: int | None
    budget_seconds: float | None
    batch: int
    context: int
    lr: float
    schedule: str
    warmup: float
    final_lr: float
    weight_decay: float
    betas: tuple[float, ...]
    eps: float
    clip: float | None
    eval_every: float | None
    eval_at: tuple[int, ...]
    eval_tokens: int | None
    seed: int
    threads: int
    checkpoint_every: int
    total: int | None = field(init=False)

    def __post_init__(self) -> None:
        given = [n for n in ("tokens", "steps", "budget_seconds") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of tokens, steps and budget_seconds, got {', '.join(given) or 'none'}"
            )
        for name in ("batch", "context", "threads", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("lr", "eps", "clip", "eval_every", "budget_seconds", "steps"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be above 0, got {value}")
        for name in ("warmup", "final_lr", "weight_decay"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        if self.schedule not in ("cosine", "constant"):
            raise ValueError(f"schedule must be 'cosine' or 'constant', got {self.schedule!r}")
        if self.tokens is not None and self.tokens < self.batch * self.context:
            raise ValueError(
                f"tokens={self.tokens} is less than one batch of {self.batch} x {self.context}; give more tokens"
            )
        total = self.steps if self.tokens is None else self.tokens // (self.batch * self.context)
        if self.eval_at and (self.eval_at[0] < 0 or (total is not None and self.eval_at[-1] > total)):
            raise ValueError(
                f"eval_at must lie between 0 and the last step, {total}, got {list(self.eval_at)}"
            )
        object.__setattr__(self, "total", total)

    def adamw(self, model: nn.Module) -> torch.optim.AdamW:
        """Return AdamW with weight decay on matrices only."""
        weights = [p for p in model.parameters() if p.requires_grad]
        if not weights:
            raise ValueError("model has no parameter to train: requires_grad is off everywhere")
        groups = [
            {"params": [p for p in weights if p.ndim >= 2], "weight_decay": self.weight_decay},
            {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        betas = (self.betas[0], self.betas[1])
        return torch.optim.AdamW(groups, lr=self.lr, betas=betas, eps=self.eps, fused=True)

    def rate(self, step: int, progress: float) -> float:
        """Return the learning rate of a step; ``progress`` is the part of the run that is over."""
        if self.warmup >= 1:
            warm = (step + 1) / self.warmup
            part = self.warmup / self.total if self.total else 0.0
        elif self.total:
            first = math.ceil(self.warmup * self.total)
            warm, part = (step + 1) / max(first, 1), first / self.total
        else:
            warm, part = (progress + 1e-3) / max(self.warmup, 1e-9), self.warmup
        if warm < 1:
            return self.lr * warm
        if self.schedule == "constant":
            return self.lr
        along = min(max((progress - part) / max(1 - part, 1e-9), 0.0), 1.0)
        return self.lr * (self.final_lr + (1 - self.final_lr) * (1 + math.cos(math.pi * along)) / 2)


@dataclass
class _Loop:
    model: nn.Module
    corpus: DataSource
    plan: _Plan
    optimiser: torch.optim.Optimizer
    loss_fn: LossFunction
    callback: Callback | None
    checkpoint: Path | None
    step: int = 0
    cpu: float = 0.0
    losses: list[float] = field(default_factory=list)
    rows: list[dict[str, float]] = field(default_factory=list)
    evaluated: float = 0.0  # part of the run at the last evaluation

    def run(self) -> TrainingRun:
        with _threads(self.plan.threads), torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.plan.seed)
            if not self._resume() and 0 in self.plan.eval_at:
                self._evaluate()
            self.model.train()
            while not self._over():
                self._step()
                if self._over() or self._due():
                    self._evaluate()
                if self._over() or self.step % self.plan.checkpoint_every == 0:
                    self._save()
        return TrainingRun(
            model=self.model,
            curve=pd.DataFrame(self.rows).astype({"step": int, "tokens": int}),
            losses=np.array(self.losses),
            tokens=self.step * self.plan.batch * self.plan.context,
            cpu_seconds=self.cpu,
            settings=self._settings(),
        )

    # --- Where the run is ------------------------------------------------------------------------------------

    def _progress(self) -> float:
        if self.plan.total:
            return self.step / self.plan.total
        return self.cpu / (self.plan.budget_seconds or 1.0)

    def _over(self) -> bool:
        return self._progress() >= 1

    def _due(self) -> bool:
        every = self.plan.eval_every
        if self.step in self.plan.eval_at:
            return True
        if every is None:
            return False
        if every >= 1:
            return self.step % int(every) == 0
        now = math.floor(self._progress() / every + 1e-9)
        return now > math.floor(self.evaluated / every + 1e-9)

    # --- What it does ----------------------------------------------------------------------------------------

    def _step(self) -> None:
        plan = self.plan
        begin = time.process_time()
        rate = plan.rate(self.step, self._progress())
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group.get("lr_scale", 1.0)
        if self.callback:
            self.callback(self.step, self.model, self.optimiser)
        drawn = self.corpus.sequences(self.step * plan.batch, plan.batch, plan.context + 1, seed=plan.seed)
        inputs, targets = pair(*drawn)
        loss = self.loss_fn(self.model, inputs, targets)
        value = float(loss.detach())
        self._check("loss", value, rate)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if plan.clip is not None:
            self._check("gradient", float(nn.utils.clip_grad_norm_(self.model.parameters(), plan.clip)), rate)
        self.optimiser.step()
        self.losses.append(value)
        self.step += 1
        self.cpu += time.process_time() - begin

    def _check(self, name: str, value: float, rate: float) -> None:
        if not math.isfinite(value):
            raise NotFinite(
                f"the {name} is {value} at step {self.step} with learning rate {rate:.3g}; lower lr or warm up longer"
            )

    def _evaluate(self) -> None:
        plan = self.plan
        found = evaluate(self.model, self.corpus, tokens=plan.eval_tokens, context=plan.context)
        since = self.losses[int(self.rows[-1]["step"]) if self.rows else 0 :]
        row = {
            "step": self.step,
            "tokens": self.step * plan.batch * plan.context,
            "loss": found.loss,
            "bpb": found.bits_per_byte,
            "train_loss": float(np.mean(since)) if since else math.nan,
            "lr": float(self.optimiser.param_groups[0]["lr"]) if self.step else 0.0,
            "cpu_s": self.cpu,
        }
        self.rows.append(row)
        self.evaluated = self._progress()

    # --- What is kept ----------------------------------------------------------------------------------------

    def _settings(self) -> dict[str, Any]:
        settings = dataclasses.asdict(self.plan) | {
            "betas": list(self.plan.betas),
            "eval_at": list(self.plan.eval_at),
            "corpus": getattr(self.corpus, "fingerprint", None) or self.corpus.name,
            "optimiser": type(self.optimiser).__name__,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "torch": str(torch.__version__),
        }
        del settings["checkpoint_every"]  # how often is saved changes nothing of what is computed
        return settings

    def _save(self) -> None:
        if self.checkpoint is None:
            return
        state: dict[str, Any] = {
            "settings": self._settings(),
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "random": torch.get_rng_state(),
            "step": self.step,
            "cpu": self.cpu,
            "losses": torch.tensor(self.losses, dtype=torch.float64),
            "rows": self.rows,
            "evaluated": self.evaluated,
        }
        stateful: Any = self.callback
        if hasattr(stateful, "state_dict"):
            state["callback"] = stateful.state_dict()
        write_checkpoint(self.checkpoint, state)

    def _resume(self) -> bool:
        """Continue from the checkpoint where there is one."""
        if self.checkpoint is None or not self.checkpoint.is_file():
            return False
        state = read_checkpoint(self.checkpoint, self._settings())
        stateful: Any = self.callback
        if "callback" in state and hasattr(stateful, "load_state_dict"):
            stateful.load_state_dict(state["callback"])
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["random"])
        self.step, self.cpu, self.evaluated = state["step"], state["cpu"], state["evaluated"]
        self.losses, self.rows = state["losses"].tolist(), state["rows"]
        return True


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
