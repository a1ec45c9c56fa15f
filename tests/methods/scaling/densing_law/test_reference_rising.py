"""A reference whose loss rises with size is no reference."""

from __future__ import annotations

import warnings

from broadsheet.methods.scaling import ReferenceFamily

from .test_reference import family_runs


def test_a_two_step_reference_whose_loss_rises_with_size_is_refused_or_said():
    """OneStepReference refuses such a curve, too: with it a better score would ask for a smaller model."""
    runs = family_runs()
    rising = runs.assign(loss=0.1 * runs["N"] ** 0.15 + 300 * runs["D"] ** -0.25)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            family = ReferenceFamily().fit_loss(rising).fit_metric(runs, floor=0.25, ceiling=0.95)
        except ValueError:
            return
        sizes = family.effective_parameters([0.3, 0.5, 0.9], D0=1e12)["N_effective"].dropna().tolist()
    assert said or sizes == sorted(sizes)
