"""Unraveling the Mystery of Scaling Laws: Part I (arXiv:2403.06563).

The loss of any model after any number of steps at any batch size, from a few small ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

_NAMES = {
    "critical_batch": ["CriticalBatchSize", "steps_at_losses"],
    "law": ["LossTrajectory"],
    "monitor": ["TrajectoryMonitor", "TrajectoryWarning"],
}
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs=_NAMES)

__all__ = ["CriticalBatchSize", "LossTrajectory", "TrajectoryMonitor", "TrajectoryWarning", "steps_at_losses"]

if TYPE_CHECKING:
    from broadsheet.methods.scaling.loss_trajectory.critical_batch import CriticalBatchSize, steps_at_losses
    from broadsheet.methods.scaling.loss_trajectory.law import LossTrajectory
    from broadsheet.methods.scaling.loss_trajectory.monitor import TrajectoryMonitor, TrajectoryWarning
