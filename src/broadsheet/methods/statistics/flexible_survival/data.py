"""Prepare the veterans' lung-cancer data: ARFF as scikit-survival ships it, to a table as R names it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

__all__ = ["arff_to_csv", "load_veteran"]

NAMES = {
    "Survival_in_days": "time",
    "Status": "status",
    "Treatment": "trt",
    "Celltype": "celltype",
    "Karnofsky_score": "karno",
    "Months_from_Diagnosis": "diagtime",
    "Age_in_years": "age",
    "Prior_therapy": "prior",
}
CODES = {
    "status": {"censored": 0, "dead": 1},
    "trt": {"standard": 0, "test": 1},
    "prior": {"no": 0, "yes": 1},
}


def arff_to_csv(raw: Path, target: Path) -> None:
    """Rewrite the ARFF file as CSV, in the order and under the names of R's ``survival::veteran``.

    Args:
        raw: The ARFF file.
        target: The CSV file to write: ``time`` (days), ``status`` (1: death), ``trt`` (1: test
            chemotherapy), ``celltype``, ``karno``, ``diagtime`` (months), ``age`` (years), ``prior`` (1: yes).

    Raises:
        ValueError: if the file is not the expected table.
    """
    lines = [line.strip() for line in raw.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line and not line.startswith("%")]
    header = [line.split()[1] for line in lines if line.lower().startswith("@attribute")]
    missing = sorted(set(NAMES) - set(header))
    if missing or "@data" not in [line.lower() for line in lines]:
        raise ValueError(
            f"{raw} is not the veterans' data: no attribute {missing[0] if missing else '@data'}"
        )
    start = [line.lower() for line in lines].index("@data") + 1
    frame = pd.DataFrame([line.split(",") for line in lines[start:]], columns=header)
    frame = frame.rename(columns=NAMES)[list(NAMES.values())]
    for column, codes in CODES.items():
        frame[column] = frame[column].map(codes)
        if frame[column].isna().any():
            raise ValueError(f"{raw}: column {column!r} holds a value other than {', '.join(codes)}")
    frame.to_csv(target, index=False)


def load_veteran(path: Path) -> pd.DataFrame:
    """Read the prepared table.

    Args:
        path: The CSV that :func:`arff_to_csv` wrote.

    Returns:
        137 rows.
    """
    return pd.read_csv(path)
