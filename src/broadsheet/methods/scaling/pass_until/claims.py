"""What the paper claims, and how we measure it."""

from __future__ import annotations

from broadsheet.claims import Measured, Run, claim, within


@claim(
    "Say the claim as one sentence, with its number in **bold**",
    published=1.0,
    unit="",
    where="Table 1",
    kind="exact",
    holds=within(relative=0.01),
)
def main_result(run: Run) -> Measured:
    """Say what is measured, and why the tolerance is what it is."""
    from broadsheet.methods.scaling.pass_until.method import pass_until

    return Measured(pass_until(1.0))
