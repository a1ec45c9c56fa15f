"""What a table cannot tell: the error and the warning of a law, and the checks behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from broadsheet.methods.scaling.objective import Floats

__all__ = [
    "NotIdentified",
    "ScalingWarning",
    "open_parameters_fault",
    "refuse_constant_inputs",
    "refuse_flat_directions",
]

# Two directions of the normalised Jacobian closer than this tell the same in double precision.
_FLAT = 1e-7
_OPEN = 10.0  # standard error of a logarithm above which a parameter counts as not determined


class NotIdentified(ValueError):
    """The table cannot tell some parameters apart; the message names them and says why."""


class NeedsRuns(ValueError, AttributeError):
    """A law of known parameters was asked for what only runs can tell.

    Also an ``AttributeError``: Python takes an attribute that raises one as absent, so that a law's names can be
    listed.
    """


class ScalingWarning(UserWarning):
    """A result that stands, but must not be read without the warning's sentence."""


def refuse_constant_inputs(x: Mapping[str, Any], governs: Mapping[str, Sequence[str]]) -> None:
    """Refuse inputs that never change.

    Args:
        x: Input columns, each (n,).
        governs: The parameters that only a change of that input can tell.

    Raises:
        NotIdentified: naming the input, its one value and the parameters.

    Example:
        >>> refuse_constant_inputs({"N": np.array([1e9, 1e9])}, {"N": ("A", "alpha")})
        Traceback (most recent call last):
        broadsheet.methods.scaling.identification.NotIdentified: column 'N' has one distinct value, 1e+09: \
A, alpha cannot be identified; add runs with another N, or fit a law without it
    """
    for name, parameters in governs.items():
        values = np.unique(x[name])
        if len(values) == 1:
            raise NotIdentified(
                f"column {name!r} has one distinct value, {values[0]:g}: {', '.join(parameters)} cannot be "
                f"identified; add runs with another {name}, or fit a law without it"
            )


def refuse_flat_directions(
    jacobian: Floats, names: Sequence[str], *, what: str, may_vanish: Sequence[str] = ()
) -> None:
    """Refuse an optimum at which some parameters can be traded against each other at no cost.

    Args:
        jacobian: (n, k) derivatives of the log-prediction, at the optimum.
        names: k names of parameters.
        what: The law's name for the message.
        may_vanish: Weights of terms that may run to 0, which leaves a law without them; to be cautioned against.

    Raises:
        NotIdentified: naming the parameters of the flattest direction.
    """
    size = np.sqrt((jacobian**2).sum(axis=0))
    largest = float(size.max()) if len(size) else 0.0
    if not np.isfinite(jacobian).all() or largest == 0.0:
        raise NotIdentified(
            f"{what}: no parameter changes the prediction at the optimum found; is the target constant?"
        )
    dead = size < 1e-10 * largest
    lost = [n for n, d in zip(names, dead, strict=True) if d and n not in may_vanish]
    if lost:
        which = ", ".join(lost)
        raise NotIdentified(
            f"{what}: {which} cannot be identified: at the optimum found the term has shrunk to nothing in "
            "every row. Fit a law without that term, or add runs that reach where it matters"
        )
    names = [n for n, d in zip(names, dead, strict=True) if not d]
    _, singular, directions = np.linalg.svd(jacobian[:, ~dead] / size[~dead], full_matrices=False)
    if singular[-1] < _FLAT * singular[0]:
        along = np.abs(directions[-1])
        which = ", ".join(n for n, a in zip(names, along, strict=True) if a > 0.1 * along.max())
        raise NotIdentified(
            f"{what}: {which} cannot be told apart: changing them together leaves every prediction as it is. "
            "Add runs in which the inputs vary independently, or fit a law with fewer parameters"
        )


def open_parameters_fault(spread: Floats, jacobian: Floats, names: Sequence[str], *, what: str) -> str:
    """Say which parameters the noise leaves open by more than a factor of e**10 either way.

    Args:
        spread: (k,) standard errors of parameters fitted as logarithms, 0 for others.
        jacobian: (n, k) derivatives of the log-prediction, at the optimum.
        names: k names of parameters.
        what: The law's name for the message.

    Returns:
        A sentence that names them, or "".
    """
    # A term that has all but vanished is unsure of its size, and harmless: the law cautions against it.
    matters = np.abs(jacobian).max(axis=0) > 1e-3
    which = [n for n, m, s in zip(names, matters, spread, strict=True) if m and s > _OPEN]
    if not which:
        return ""
    return (
        f"{what}: {', '.join(which)} cannot be identified: the noise of this table leaves each open by more than a "
        "factor of 20,000 either way. The inputs vary too little, or together, for so many parameters; add runs, "
        "or fit a law with fewer"
    )
