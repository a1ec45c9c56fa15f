"""Our own runs: tiny models on mixtures of five domains, a regressor, and models ten times as large.

The domain that counts is small, as it is in practice: at most ``EPOCHS`` passes over its text are allowed, so that
training on it alone is no way out and the rest of the budget has to come from elsewhere. Tiny and large models see
as many examples: tiny ones must see far more per parameter, as in the paper, or they rank mixtures by what is learnt
first.
"""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from broadsheet.methods.scaling.regmix.domains import DOMAINS, VOCABULARY, load_domains
from broadsheet.methods.scaling.regmix.mixtures import sample_mixtures
from broadsheet.methods.scaling.regmix.regression import RegMix

if TYPE_CHECKING:
    from broadsheet.claims import Run

__all__ = ["SETTINGS", "TARGET", "Settings", "Study", "studies", "train_losses"]

TARGET = "docs"
EPOCHS = 4.0
RANDOM = 10
STRENGTHS = (1.0, 10.0)
"""The paper's 0.1 to 5 would give mixtures of one domain. With 17 domains of prose and code that is harmless; here two
of five hold no word of English, and a model of one of them alone has a loss so high that it drowns all others."""


@dataclass(frozen=True)
class Settings:
    """Sizes of the study.

    Args:
        proxies: Number of random mixtures that tiny models are trained on.
        proxy_steps: Steps of a tiny model.
        large_steps: Steps of a large one.
        batch: Examples per step, each one character with the eight before it.
        characters: Characters of training text by domain.
        validation: Characters of validation text of each domain.
        proxy: Embedding and hidden width of a tiny model.
        large: Those of a large one.
    """

    proxies: int
    proxy_steps: int
    large_steps: int
    batch: int
    characters: tuple[int, ...]
    validation: int
    proxy: tuple[int, int] = (8, 16)
    large: tuple[int, int] = (16, 144)

    @property
    def prior(self) -> pd.Series:
        """Characters of training text by domain."""
        return pd.Series(dict(zip(DOMAINS, self.characters, strict=True)), dtype=float)

    @property
    def max_epochs(self) -> float:
        """The bound of ``sample_mixtures`` that allows a large model ``EPOCHS`` passes over a domain."""
        return EPOCHS * sum(self.characters) / (self.large_steps * self.batch)


SETTINGS = {
    "smoke": Settings(24, 100, 100, 64, (2_000, 20_000, 10_000, 10_000, 10_000), 1_000, (4, 8), (8, 24)),
    "laptop": Settings(96, 1500, 1500, 128, (12_000, 300_000, 60_000, 100_000, 100_000), 6_000),
    "paper": Settings(512, 8000, 8000, 128, (60_000, 1_500_000, 80_000, 300_000, 300_000), 20_000),
}


@dataclass(frozen=True)
class Study:
    """What came of one seed.

    Args:
        mixtures: Mixtures of the tiny models.
        losses: Their validation losses by domain, nats per character.
        arms: The 14 mixtures of the large models: ``regmix``, ``uniform``, ``prior``, ``target only`` and ten
            random ones.
        small: Losses of tiny models on these 14.
        large: Losses of large models on them.
    """

    mixtures: pd.DataFrame
    losses: pd.DataFrame
    arms: pd.DataFrame
    small: pd.DataFrame
    large: pd.DataFrame

    def regression(self, regressor: str = "lightgbm") -> RegMix:
        """Fit the losses on the target domain."""
        return RegMix(regressor, target=TARGET).fit(self.mixtures, self.losses)


def studies(run: Run) -> list[Study]:
    """Train everything for each seed of the run, or find what another claim has trained."""
    from broadsheet.methods._shared.fresh_seeds import fresh_seed
    from broadsheet.methods._shared.training_cache import kept

    settings = SETTINGS[str(run.scale)]
    code = [f"broadsheet.methods.scaling.regmix.{name}" for name in _CODE]
    found = []
    for given in run.progress(run.seeds, label="seeds"):
        seed = fresh_seed(run, given)
        key = {"purpose": "regmix", "settings": asdict(settings), "seed": seed}
        value = kept(
            key,
            functools.partial(_compute, settings, seed),
            code=[*code, "broadsheet.methods._shared.ngram_mlp"],
            threads=1,
        ).value
        found.append(Study(**{name: _frame(part) for name, part in value.items()}))
    return found


_CODE = ("domains", "mixtures", "optimization", "regression", "regressors", "simplex", "study", "tables")


def _frame(part: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(part["data"], index=part["index"], columns=part["columns"])


def _compute(settings: Settings, seed: int) -> dict[str, Any]:
    text = load_domains(dict(zip(DOMAINS, settings.characters, strict=True)), settings.validation)
    draw = functools.partial(
        sample_mixtures, settings.prior, strengths=STRENGTHS, max_epochs=settings.max_epochs, minimum=1e-3
    )
    mixtures = draw(settings.proxies, seed=1000 + seed)
    losses = train_losses(settings, text, mixtures, large=False, seed=seed)
    model = RegMix(target=TARGET, random_state=seed).fit(mixtures, losses)
    best = model.optimize(prior=settings.prior, max_epochs=settings.max_epochs, seed=seed)
    arms = pd.DataFrame(
        {
            "regmix": best,
            "uniform": pd.Series(1.0 / len(DOMAINS), index=list(DOMAINS)),
            "prior": settings.prior / settings.prior.sum(),
            "target only": pd.Series({name: float(name == TARGET) for name in DOMAINS}),
        }
    ).T
    others = draw(RANDOM, seed=2000 + seed)
    arms = pd.concat([arms, others.set_axis([f"random {i + 1}" for i in range(RANDOM)])])[list(DOMAINS)]
    small = train_losses(settings, text, arms, large=False, seed=seed + 500)
    large = train_losses(settings, text, arms, large=True, seed=seed)
    parts = {"mixtures": mixtures, "losses": losses, "arms": arms, "small": small, "large": large}
    return {name: frame.to_dict("split") for name, frame in parts.items()}


def train_losses(
    settings: Settings,
    text: tuple[dict[str, np.ndarray], dict[str, np.ndarray]],
    mixtures: pd.DataFrame,
    *,
    large: bool,
    seed: int,
) -> pd.DataFrame:
    """Train one model for each mixture, all as one batch, and return validation losses.

    Args:
        settings: Sizes.
        text: Training and validation text, as :func:`load_domains` returns them.
        mixtures: Shares by domain.
        large: Whether to train the larger model, for longer.
        seed: Seed of initial values and of the order of data; each model has its own.

    Returns:
        Nats per character, one row per mixture and one column per domain.
    """
    import torch

    from broadsheet.methods._shared.ngram_mlp import DomainMixture, NgramShape, train_members

    train, held = ({name: torch.from_numpy(codes) for name, codes in part.items()} for part in text)
    embedding, width = settings.large if large else settings.proxy
    shape = NgramShape(VOCABULARY, context=8, embedding=embedding, width=width)
    data = DomainMixture(train, torch.tensor(mixtures[list(train)].to_numpy(float)))
    members = train_members(
        shape,
        data,
        steps=settings.large_steps if large else settings.proxy_steps,
        init_seeds=[10_000 * seed + i for i in range(len(mixtures))],
        batch=settings.batch,
        learning_rate=3e-3,
    )
    losses = members.losses(held)
    return pd.DataFrame({name: losses[name].numpy() for name in held}, index=mixtures.index)
