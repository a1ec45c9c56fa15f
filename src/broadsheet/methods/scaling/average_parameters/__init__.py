"""The Journey Matters: Average Parameter Count Unifies Sparse and Dense Scaling Laws (arXiv:2501.12486).

Gradual magnitude pruning planned by training compute, and the law that predicts its loss from the mean number of
live parameters over training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

_NAMES = {
    "callback": ["SparsePretrainingCallback"],
    "history": ["average_parameters"],
    "law": ["AverageParameters"],
    "pruner": ["GradualMagnitudePruner"],
    "schedule": ["PruneSchedule", "ScheduleWarning", "continuous_schedule", "prune_schedule"],
}
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs=_NAMES)

__all__ = [
    "AverageParameters",
    "GradualMagnitudePruner",
    "PruneSchedule",
    "ScheduleWarning",
    "SparsePretrainingCallback",
    "average_parameters",
    "continuous_schedule",
    "prune_schedule",
]

if TYPE_CHECKING:
    from broadsheet.methods.scaling.average_parameters.callback import SparsePretrainingCallback
    from broadsheet.methods.scaling.average_parameters.history import average_parameters
    from broadsheet.methods.scaling.average_parameters.law import AverageParameters
    from broadsheet.methods.scaling.average_parameters.pruner import GradualMagnitudePruner
    from broadsheet.methods.scaling.average_parameters.schedule import (
        PruneSchedule,
        ScheduleWarning,
        continuous_schedule,
        prune_schedule,
    )
