"""Published training runs and scores, read through the data registry; dates and fits that are facts stand here.

Each ``load_*`` returns the file as its owner made it unless its docstring says otherwise. It is looked for in the
folders of ``BROADSHEET_DATA`` and in the cache, and downloaded where it is absent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pandas as pd

from broadsheet import data
from broadsheet.methods.scaling.release_dates import RELEASED
from broadsheet.methods.scaling.runs import RunTable

__all__ = [
    "load_chinchilla_package_runs",
    "load_chinchilla_points",
    "load_loss_to_loss_extrapolation",
    "load_loss_to_loss_fits",
    "load_loss_to_loss_sweep",
    "load_observational_emergent",
    "load_observational_leaderboard",
    "load_observational_scores",
    "load_openathena_isoflops",
    "load_porian_isoflop_points",
    "load_porian_optimal_pairs",
    "load_regmix",
    "load_release_dates",
    "load_step_law_runs",
]


def _read(name: str, path: Path | str | None) -> pd.DataFrame:
    return pd.read_csv(data.fetch(name) if path is None else path)


def load_chinchilla_points(path: Path | str | None = None, *, outliers: bool = True) -> RunTable:
    """Load 245 points (N, C, loss) that Besiroglu et al. read from figure 4 of Hoffmann et al. 2022.

    Args:
        path: The file; by default that of the registry, ``chinchilla-svg-extracted``.
        outliers: Whether to keep the first five rows, those of the highest losses and the lowest D / N, which
            the replication leaves out.

    Returns:
        The runs with N, C, loss and the derived D.

    Source:
        github.com/epoch-research/analyzing-chinchilla, ``data/svg_extracted_data.csv``; the repository states no
        licence.
    """
    raw = _read("chinchilla-svg-extracted", path)
    table = RunTable(raw, columns={"N": "Model Size", "C": "Training FLOP"})
    if not outliers:
        table.df = table.df.iloc[5:].copy()
    return table


def load_chinchilla_package_runs(path: Path | str | None = None) -> RunTable:
    """Load 234 runs (C, N, D, loss): the example of the package ``chinchilla`` (Apache-2.0).

    Args:
        path: The file; by default that of the registry, ``chinchilla-pkg-llm-runs``.

    Returns:
        The runs.

    Source:
        github.com/kyo-takano/chinchilla, ``examples/llm/df.csv``.
    """
    return RunTable(_read("chinchilla-pkg-llm-runs", path))


def load_regmix(
    split: Literal["train", "test"] = "train",
    scale: Literal["1m", "60m", "1B"] = "1m",
    *,
    mixtures: Path | str | None = None,
    losses: Path | str | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Load RegMix's published runs (MIT): mixtures of 17 domains, and losses on 13 of them.

    Args:
        split: ``train`` (scale 1m alone) or ``test``.
        scale: Size of the models.
        mixtures: The file of mixtures; by default that of the registry.
        losses: The file of losses, likewise.

    Returns:
        Mixtures and losses, both indexed by the run; column prefixes and suffixes are cut, so that a domain has
        one name in both.

    Raises:
        ValueError: if there is no such split at that scale.

    Source:
        Liu et al. 2024 (arXiv:2407.01492); github.com/sail-sg/regmix, ``data/``.
    """
    known = {("train", "1m"), ("test", "1m"), ("test", "60m"), ("test", "1B")}
    if (split, scale) not in known:
        raise ValueError(f"split and scale must be one of {sorted(known)}, got {(split, scale)!r}")
    mix = _read(f"regmix-{split}-mixture-{scale.lower()}", mixtures).set_index("index")
    loss = _read(f"regmix-{split}-pile-loss-{scale.lower()}", losses).set_index("index")
    mix.columns = mix.columns.str.removeprefix("train_the_pile_")
    loss.columns = loss.columns.str.removeprefix("metric/the_pile_").str.removesuffix("_val_loss")
    return mix, loss


def load_observational_scores(path: Path | str | None = None, *, below_10b: bool = False) -> pd.DataFrame:
    """Load sizes, tokens and eight benchmark scores of 148 public base models (Apache-2.0).

    Args:
        path: The file; by default that of the registry, ``obs-base-llm-benchmark-eval``.
        below_10b: Load the second table, of models below 10 billion parameters, instead.

    Returns:
        One row per model; ``Model Size (B)`` in 1e9 parameters, ``Pretraining Data Size (T)`` in 1e12 tokens,
        scores as shares.

    Source:
        Ruan et al. 2024 (arXiv:2405.10938); github.com/ryoungj/ObsScaling, ``eval_results/``.
    """
    return _read("obs-base-llm-benchmark-eval" + ("-sub-10b" if below_10b else ""), path)


def load_observational_emergent(path: Path | str | None = None) -> pd.DataFrame:
    """Load scores of the same base models on eight emergent BIG-Bench tasks (Apache-2.0).

    Args:
        path: The file; by default that of the registry, ``obs-base-llm-emergent-capability-eval``.

    Returns:
        One row per model.

    Source:
        Ruan et al. 2024 (arXiv:2405.10938); github.com/ryoungj/ObsScaling, ``eval_results/``.
    """
    return _read("obs-base-llm-emergent-capability-eval", path)


def load_observational_leaderboard(path: Path | str | None = None) -> pd.DataFrame:
    """Load Open LLM Leaderboard v2 scores of base models (Apache-2.0).

    Args:
        path: The file; by default that of the registry, ``obs-base-llm-leaderboard-v2-eval``.

    Returns:
        One row per model.

    Source:
        Ruan et al. 2024 (arXiv:2405.10938); github.com/ryoungj/ObsScaling, ``eval_results/``.
    """
    return _read("obs-base-llm-leaderboard-v2-eval", path)


def load_loss_to_loss_sweep(path: Path | str | None = None) -> pd.DataFrame:
    """Load 528 OLMo runs on six corpora: parameters, tokens, FLOPs and many losses.

    Args:
        path: The file; by default that of the registry, ``loss-to-loss-sweep``.

    Returns:
        One row per run.

    Source:
        Brandfonbrener et al. 2024 (arXiv:2411.12925); github.com/KempnerInstitute/loss-to-loss-notebooks,
        ``data/sweep.csv``; the repository states no licence.
    """
    return _read("loss-to-loss-sweep", path)


def load_loss_to_loss_extrapolation(path: Path | str | None = None) -> pd.DataFrame:
    """Load the large runs (3.3B, 1e21 FLOPs) that the same study held out.

    Args:
        path: The file; by default that of the registry, ``loss-to-loss-extrapolation``.

    Returns:
        One row per run.

    Source:
        As :func:`load_loss_to_loss_sweep`, ``data/extrapolation.csv``.
    """
    return _read("loss-to-loss-extrapolation", path)


def load_loss_to_loss_fits(path: Path | str | None = None) -> pd.DataFrame:
    """Load the parameters that the authors of the same study fitted.

    Args:
        path: The file; by default that of the registry, ``loss-to-loss-fits``.

    Returns:
        One row per corpus and loss: A, B, E, alpha, beta.

    Source:
        As :func:`load_loss_to_loss_sweep`, ``data/opt_params_data.csv``.
    """
    return _read("loss-to-loss-fits", path)


def load_step_law_runs(path: Path | str | None = None) -> pd.DataFrame:
    """Load 1,911 dense runs over learning rate, batch size, N and D with their final loss.

    Args:
        path: The file; by default that of the registry, ``steplaw-dense-lr-bs-loss``.

    Returns:
        One row per run; ``bs`` in sequences of 2,048 tokens, ``ti`` in steps.

    Source:
        Li et al. 2025 (arXiv:2503.04715); github.com/step-law/steplaw, ``data/dense_lr_bs_loss.csv``; the
        repository states no licence.
    """
    return _read("steplaw-dense-lr-bs-loss", path)


def load_openathena_isoflops(path: Path | str | None = None) -> pd.DataFrame:
    """Load IsoFLOP points of several studies: source, model, tokens, params, budget, loss.

    Args:
        path: The file; by default that of the registry, ``openathena-isoflops``.

    Returns:
        One row per run.

    Source:
        github.com/Open-Athena/scaling-law-analysis, ``data/isoflops/extract/isoflops.csv``; the repository states
        no licence.
    """
    return _read("openathena-isoflops", path)


def load_porian_optimal_pairs(path: Path | str | None = None) -> pd.DataFrame:
    """Load compute-optimal sizes by FLOP budget and regime (MIT).

    The authors publish pickled frames, which are never opened here: the flattened table is found only in a
    folder of ``BROADSHEET_DATA``.

    Args:
        path: The file; by default that of the registry, ``porian-optimal-pairs``.

    Returns:
        One row per regime and budget: ``flops``, ``n_opt``, ``tokens_opt``, ``loss``, ``n_opt_log_std``.

    Source:
        Porian et al. 2024 (arXiv:2406.19146); github.com/formll/resolving-scaling-law-discrepancies, ``data/``.
    """
    return _read("porian-optimal-pairs", path)


def load_porian_isoflop_points(path: Path | str | None = None) -> pd.DataFrame:
    """Load the runs behind those optima (MIT), on the same terms.

    Args:
        path: The file; by default that of the registry, ``porian-isoflop-points``.

    Returns:
        One row per regime, budget and size: ``flops``, ``n``, ``tokens``, ``loss``.

    Source:
        As :func:`load_porian_optimal_pairs`.
    """
    return _read("porian-isoflop-points", path)


def load_release_dates() -> pd.DataFrame:
    """Return the release dates of 65 public base models, compiled by hand from their announcements.

    Returns:
        Columns ``Model`` (as in :func:`load_observational_scores`) and ``Release Date``. A date may be off by
        some days.

    Example:
        >>> len(load_release_dates())
        65
    """
    frame = pd.DataFrame({"Model": list(RELEASED), "Release Date": list(RELEASED.values())})
    frame["Release Date"] = pd.to_datetime(frame["Release Date"])
    return frame
