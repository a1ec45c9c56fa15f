"""Figures that the authors state, each with where it stands. Sizes in billions of parameters, losses in nats.

"Paper" is arXiv:2509.14786; "code" is the plotting and training code of the authors (marin-community/marin, folder
experiments/data_efficiency), where a figure stands with more digits or was used to draw. The setting is DCLM text,
200 M tokens (209,715,200) unless said otherwise.
"""

from __future__ import annotations

from types import MappingProxyType

__all__ = [
    "DISTILLED",
    "EFFICIENCIES",
    "ENSEMBLE_ASYMPTOTES",
    "INFINITE_MODEL",
    "JOINT",
    "MEMBER_SETTINGS",
    "REGULARISED",
    "SIZES",
    "STANDARD",
    "TUNED_SETTINGS",
    "baseline_efficiencies",
]

SIZES = (0.15, 0.3, 0.6, 1.4)
TOKENS = (0.2097152, 0.4194304, 0.8388608, 1.6777216)
"""Billions of tokens."""

STANDARD = MappingProxyType(dict(zip(SIZES, (3.83752, 3.78538, 3.74974, 3.76432), strict=True)))
"""Loss with decay 0.1 and tuned rate and epochs, by size (code)."""
REGULARISED = MappingProxyType({"A": 0.05, "alpha": 1.02, "E": 3.43})
"""Law of the tuned loss in the size (paper)."""
INFINITE_MODEL = 3.43
ENSEMBLES_OF_300M = MappingProxyType({"settings of one model": 3.34, "settings of members": 3.27})
"""Asymptotes over members (paper)."""
JOINT = 3.17
"""Asymptote over members and size (paper)."""
ENSEMBLE_ASYMPTOTES = MappingProxyType(
    {
        0.15: (3.49494, 3.39993, 3.35758, 3.29959),
        0.3: (3.27298, 3.15040, 3.10190, 3.01724),
        0.6: (3.21223, 3.05190, 2.90583, 2.82623),
        1.4: (3.17397, 3.00252, 2.86801, 2.75238),
    }
)
"""Asymptotes over members by size, for each number of tokens (code; an early set, marked there as provisional)."""
EFFICIENCIES = MappingProxyType({3.43: 2.29, 3.17: 5.17})
"""Data efficiency at 200 M tokens by loss (paper)."""
BASELINE_LAW = MappingProxyType({"alpha": (0.23, 0.24), "E": (1.89, 1.96)})
"""Ranges of the recipes' laws in the tokens (paper, read off a summary)."""
DISTILLED = MappingProxyType({"best single": 3.57, "teacher": 3.32, "student": 3.3635, "self": 3.43243})
"""300 M parameters: single, 8 members, their student, self-distilled (student and self: code)."""

Setting = tuple[int, float, float]
TUNED_SETTINGS: MappingProxyType[tuple[float, float], Setting] = MappingProxyType(
    {
        (0.15, TOKENS[0]): (16, 3e-3, 0.8),
        (0.3, TOKENS[0]): (16, 3e-3, 1.6),
        (0.6, TOKENS[0]): (8, 1e-3, 3.2),
        (1.4, TOKENS[0]): (8, 1e-3, 3.2),
        (0.15, TOKENS[1]): (32, 3e-3, 0.8),
        (0.3, TOKENS[1]): (16, 3e-3, 0.8),
        (0.6, TOKENS[1]): (8, 1e-3, 1.6),
        (1.4, TOKENS[1]): (8, 1e-3, 3.2),
        (0.15, TOKENS[2]): (64, 3e-3, 0.4),
        (0.3, TOKENS[2]): (16, 3e-3, 0.4),
        (0.6, TOKENS[2]): (16, 3e-3, 0.4),
        (1.4, TOKENS[2]): (8, 1e-3, 1.6),
        (0.15, TOKENS[3]): (64, 3e-3, 0.1),
        (0.3, TOKENS[3]): (32, 1e-3, 0.4),
        (0.6, TOKENS[3]): (16, 1e-3, 0.8),
        (1.4, TOKENS[3]): (8, 1e-3, 0.8),
    }
)
"""Epochs, learning rate and decay of the best single model, by size and tokens (code)."""
MEMBER_SETTINGS: MappingProxyType[tuple[float, float], Setting] = MappingProxyType(
    {
        (0.15, TOKENS[0]): (32, 3e-3, 0.4),
        (0.3, TOKENS[0]): (32, 3e-3, 0.8),
        (0.6, TOKENS[0]): (16, 1e-3, 1.6),
        (1.4, TOKENS[0]): (16, 1e-3, 1.6),
        (0.15, TOKENS[1]): (64, 3e-3, 0.4),
        (0.3, TOKENS[1]): (32, 3e-3, 0.4),
        (0.6, TOKENS[1]): (16, 1e-3, 0.8),
        (1.4, TOKENS[1]): (16, 1e-3, 1.6),
        (0.15, TOKENS[2]): (128, 3e-3, 0.2),
        (0.3, TOKENS[2]): (32, 3e-3, 0.2),
        (0.6, TOKENS[2]): (32, 3e-3, 0.2),
        (1.4, TOKENS[2]): (16, 1e-3, 0.8),
        (0.15, TOKENS[3]): (128, 3e-3, 0.1),
        (0.3, TOKENS[3]): (64, 1e-3, 0.2),
        (0.6, TOKENS[3]): (32, 1e-3, 0.4),
        (1.4, TOKENS[3]): (16, 1e-3, 0.4),
    }
)
"""The same for members of an ensemble (code)."""


def baseline_efficiencies(loss: float) -> tuple[float, list[float]]:
    """Return the data efficiency at a loss and 200 M tokens, from the published ranges of exponent and limit.

    Args:
        loss: The loss, nats per token.

    Returns:
        The ratio at the middle of both ranges, and those at their four corners.
    """
    from broadsheet.methods.scaling.infinite_compute.asymptote import data_efficiency

    base = min(STANDARD.values())

    def ratio(alpha: float, E: float) -> float:
        # A law through the baseline's loss at one unit of tokens.
        return data_efficiency({"A": base - E, "alpha": alpha, "E": E}, loss, D=1.0).ratio

    exponents, limits = BASELINE_LAW["alpha"], BASELINE_LAW["E"]
    corners = [ratio(alpha, E) for alpha in exponents for E in limits]
    return ratio(sum(exponents) / 2, sum(limits) / 2), corners
