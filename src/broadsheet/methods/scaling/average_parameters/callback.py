"""Sparse pre-training in the Hugging Face Trainer."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from broadsheet.methods.scaling.average_parameters.pruner import GradualMagnitudePruner

__all__ = ["SparsePretrainingCallback"]


class SparsePretrainingCallback(TrainerCallback):
    """Prunes the model that a Hugging Face ``Trainer`` trains.

    The pruner is attached when training begins, for the number of steps that the trainer plans, and finalised when
    training ends. Logs get ``live_parameters`` and ``average_parameters``. A training that resumes from a checkpoint
    takes the removed weights from the zeros that the checkpoint holds.

    Args:
        pruner: A pruner that is not attached, or the keyword arguments to make one.
        **settings: Arguments of :class:`GradualMagnitudePruner`, instead of a pruner.

    Raises:
        TypeError: if both a pruner and settings are given, or neither.

    Attributes:
        pruner: The pruner: history and mean parameter count after training.

    Example:
        >>> SparsePretrainingCallback(sparsity=0.75, frequency=10).pruner.sparsity
        0.75
    """

    def __init__(self, pruner: GradualMagnitudePruner | None = None, **settings: Any) -> None:
        if (pruner is None) == (not settings):
            raise TypeError("give a pruner, or the settings of one such as sparsity=0.75, not both")
        self.pruner = GradualMagnitudePruner(**settings) if pruner is None else pruner

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Attach the pruner to the model for all steps that the trainer plans."""
        self.pruner.attach(kwargs["model"], total_steps=state.max_steps, step=state.global_step)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Remove what is due before an optimiser step; accumulated batches belong to one step."""
        self.pruner.step(state.global_step)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Add the live and the mean parameter count to what is logged."""
        if not len(self.pruner.history):
            return
        counts = {
            "live_parameters": self.pruner.live_parameters,
            "average_parameters": self.pruner.average_parameters,
        }
        logs = kwargs.get("logs")
        if logs is not None:
            logs.update(counts)
        if state.log_history:  # the trainer has written its own copy already
            state.log_history[-1].update(counts)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Write the zeros into the model and take the masks off."""
        self.pruner.finalize()
