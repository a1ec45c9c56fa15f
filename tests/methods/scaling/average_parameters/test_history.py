"""The mean parameter count of any history."""

from __future__ import annotations

import pandas as pd
import pytest

from broadsheet.methods.scaling.average_parameters import average_parameters


def test_weights_are_tokens_then_steps_then_rows():
    frame = pd.DataFrame({"live": [100, 50], "steps": [1, 3], "tokens": [3.0, 1.0]})
    assert average_parameters(frame) == 87.5
    assert average_parameters(frame.drop(columns="tokens")) == 62.5
    assert average_parameters(frame.assign(tokens=None)) == 62.5
    assert average_parameters(frame[["live"]]) == 75.0


def test_six_times_mean_times_tokens_is_the_compute():
    frame = pd.DataFrame({"live": [7, 5, 2], "tokens": [10, 20, 5]})
    compute = 6 * (7 * 10 + 5 * 20 + 2 * 5)
    assert 6 * average_parameters(frame) * 35 == pytest.approx(compute, rel=1e-12)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"N": [1]}), r"needs a column 'live', got \['N'\]"),
        (pd.DataFrame({"live": []}), "no step has been run"),
        (pd.DataFrame({"live": [1, -2]}), r"'live' must be finite and > 0, got -2\.0 in row 1"),
        (pd.DataFrame({"live": [1, 2], "tokens": [1.0, None]}), r"'tokens' is empty in row 1"),
        (
            pd.DataFrame({"live": [1, 2], "tokens": [1.0, 0.0]}),
            r"'tokens' must be finite and > 0, got 0\.0 in row 1",
        ),
        (
            pd.DataFrame({"live": [1, 2], "steps": [0, 1]}),
            r"'steps' must be finite and > 0, got 0\.0 in row 0",
        ),
    ],
)
def test_bad_histories_are_refused(frame, message):
    with pytest.raises(ValueError, match=message):
        average_parameters(frame)
