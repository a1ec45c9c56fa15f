"""The verdict: what follows from a measurement, by rules that no paper can bend."""

from __future__ import annotations

import math

from broadsheet.claims import Claim, Measured, Rule, Scale, Verdict
from broadsheet.lab.numbers import interval, number

__all__ = ["judge", "rule_words"]


def rule_words(rule: Rule) -> str:
    """Return which values a rule accepts, in words; "" where only its code says it.

    Example:
        >>> from broadsheet.claims import within
        >>> rule_words(within(absolute=0)), rule_words(within(relative=0.02))
        ('exactly the published value', 'within 2 % of the published value')
    """
    # Once a claim has filled its bounds in, the words are all that tells of the tolerance.
    return "exactly the published value" if rule.words.startswith("within 0 ") else rule.words


def judge(claim: Claim, measured: Measured, scale: Scale | str) -> tuple[Verdict, str]:
    """Judge a measurement.

    An ``exact`` claim is judged by its value. A ``scaled`` or ``trend`` claim is judged by its interval
    where it has one: wholly among the accepted values, it holds; otherwise, containing "no effect", it is
    inconclusive; wholly outside, it is not reproduced; lying across a bound, it is inconclusive. What holds
    at the scale of the paper is reproduced.

    Args:
        claim: The claim.
        measured: What was measured.
        scale: The scale at which it was measured.

    Returns:
        The verdict, and its reason as one sentence.

    Example:
        >>> from broadsheet.claims import above, claim
        >>> @claim("A beats B", published=None, unit="", where="Table 1", kind="trend", holds=above(0))
        ... def a_beats_b(run): ...
        >>> judge(a_beats_b, Measured(0.2, -0.1, 0.5), "laptop")[0].value
        'inconclusive'
    """
    low, high = measured.low, measured.high
    if not math.isfinite(measured.value):
        return Verdict.FAILED, f"The measured value is {_word(measured.value)}."
    if low is not None and high is not None and not (math.isfinite(low) and math.isfinite(high)):
        return Verdict.FAILED, f"An end of the interval is not finite: {_word(low)} to {_word(high)}."
    rule = claim.rule
    must = f"it must be {rule_words(rule)}" if rule_words(rule) else "the declared rule decides"
    good = Verdict.REPRODUCED if claim.kind == "exact" or Scale(scale) is Scale.PAPER else Verdict.HOLDS
    value = number(measured.value, low, high)
    if claim.kind == "exact" or low is None or high is None:
        if rule.accepts(measured.value):
            return good, f"The value {value} is accepted: {must}."
        return Verdict.NOT_REPRODUCED, f"The value {value} is not accepted: {must}."
    ends = f"the 95 % interval {interval(measured.value, low, high)}"
    if rule.accepts(low) and rule.accepts(high):
        return good, f"All of {ends} is accepted: {must}."
    if claim.no_effect is not None and low <= claim.no_effect <= high:
        return Verdict.INCONCLUSIVE, f"T{ends[1:]} contains {number(claim.no_effect)}, which means no effect."
    # The accepted values are an interval themselves: outside means wholly below or wholly above it.
    below = high < rule.low or (rule.open_ends and high == rule.low)
    beyond = low > rule.high or (rule.open_ends and low == rule.high)
    if below or beyond:
        return Verdict.NOT_REPRODUCED, f"Nothing of {ends} is accepted: {must}."
    return Verdict.INCONCLUSIVE, f"Only part of {ends} is accepted: {must}."


def _word(value: float) -> str:
    return "not a number (NaN)" if math.isnan(value) else "infinite"
