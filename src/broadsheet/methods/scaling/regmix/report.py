"""A fitted RegMix in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from broadsheet.methods.scaling.regmix.regression import RegMix

__all__ = ["report"]

_MOST = 8


def report(model: RegMix) -> str:
    """Summarise runs, agreement by cross-validation, effects on the objective, and the optimum of ``optimize()``.

    Args:
        model: A fitted model.

    Returns:
        Some lines of text.

    Example:
        >>> from broadsheet.methods.scaling import RegMix, sample_mixtures
        >>> mixtures = sample_mixtures({"code": 1, "web": 2}, n=40)
        >>> model = RegMix("linear").fit(mixtures, mixtures["code"].rename("loss"))
        >>> print(model.report().splitlines()[0])
        RegMix: 40 runs, 2 domains, 1 target, regressor linear
    """
    count = len(model.targets_)
    name = model.regressor if isinstance(model.regressor, str) else type(model.regressor).__name__
    dropped = f" ({model.n_dropped_} dropped)" if model.n_dropped_ else ""
    used = model.target_weights_[model.used_targets]
    objective = ", ".join(f"{weight:.3g} {target}" for target, weight in used.items())
    held = model.predict_held_out(model.used_targets)
    lines = [
        f"RegMix: {len(model.mixtures_)} runs{dropped}, {len(model.domains_)} domains, "
        f"{count} target{'s' if count > 1 else ''}, regressor {name}",
        f"objective: {objective}",
        f"held-out Spearman over {model.cv} folds: {model.score():.4f} (objective)",
    ]
    for target in model.used_targets[:_MOST]:
        error = float(((held[target] - model.losses_[target]) ** 2).mean() ** 0.5)
        lines.append(
            f"  {target}: error {error:.4g} (root mean square), losses {_span(model.losses_[target])}"
        )
    effects = (model.importance()[model.used_targets] * used).sum(axis=1).sort_values()
    best = model.optimize()
    lines += ["", f"{'domain':<24} {'mean share':>10} {'optimum':>9} {'effect':>9}"]
    for domain in effects.index:
        share = model.mixtures_[domain].mean()
        lines.append(f"{domain!s:<24} {share:>10.3f} {best[domain]:>9.3f} {effects[domain]:>+9.3f}")
    lines += [
        "",
        "effect: change of the objective per unit of share moved into the domain from all others",
        f"predicted objective at the optimum: {best.attrs['predicted']:.4f} ({best.attrs['method']}; "
        f"best of the sampled mixtures {best.attrs['best_sampled']:.4f})",
    ]
    return "\n".join(lines)


def _span(losses: object) -> str:
    return f"{losses.min():.3f} to {losses.max():.3f}"  # type: ignore[attr-defined]
