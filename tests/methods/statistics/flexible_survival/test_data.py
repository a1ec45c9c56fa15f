"""The preparation of the veterans' data, on a made-up file and on the real one."""

from __future__ import annotations

import pytest

from broadsheet.methods.statistics.flexible_survival.data import arff_to_csv, load_veteran

MADE_UP = """% a comment
@relation made_up
@attribute Treatment {standard,test}
@attribute Celltype {adeno,large,smallcell,squamous}
@attribute Survival_in_days numeric
@attribute Status {censored,dead}
@attribute Karnofsky_score numeric
@attribute Months_from_Diagnosis numeric
@attribute Age_in_years numeric
@attribute Prior_therapy {no,yes}
@data
test,large,7,dead,60,1,41,no
standard,adeno,90,censored,80,2,52,yes
"""


def test_columns_are_named_and_coded_as_in_r(tmp_path):
    raw, target = tmp_path / "made.arff", tmp_path / "made.csv"
    raw.write_text(MADE_UP)
    arff_to_csv(raw, target)
    frame = load_veteran(target)
    assert list(frame.columns) == ["time", "status", "trt", "celltype", "karno", "diagtime", "age", "prior"]
    assert frame.iloc[0].tolist() == [7, 1, 1, "large", 60, 1, 41, 0]
    assert frame.iloc[1].tolist() == [90, 0, 0, "adeno", 80, 2, 52, 1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("@attribute Status {censored,dead}\n", "", "no attribute Status"),
        ("@data", "", "no attribute @data"),
        (",dead,", ",lost,", "'status' holds a value other than censored, dead"),
    ],
)
def test_another_file_is_refused(tmp_path, old, new, message):
    raw = tmp_path / "made.arff"
    raw.write_text(MADE_UP.replace(old, new))
    with pytest.raises(ValueError, match=message):
        arff_to_csv(raw, tmp_path / "made.csv")


def test_the_trial_has_its_known_size(veteran):
    assert len(veteran) == 137
    assert veteran["status"].sum() == 128
    assert veteran["trt"].sum() == 68
    assert veteran["time"].max() == 999
