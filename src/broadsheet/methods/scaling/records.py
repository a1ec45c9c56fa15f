"""Laws as JSON types and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from broadsheet.methods.scaling.reading import Rows

if TYPE_CHECKING:
    from broadsheet.methods.scaling.law import Law

__all__ = ["from_dict", "to_dict"]

_FORMAT = 1


def to_dict(law: Law, *, runs: bool) -> dict[str, Any]:
    """Return a law as JSON types: see :meth:`Law.to_dict`."""
    record: dict[str, Any] = {
        "format": _FORMAT,
        "law": type(law).__name__,
        "settings": {k: _plain(v) for k, v in law.get_params(deep=False).items()},
        "inputs": list(law._inputs()),
        "target": law.target,
        "params": dict(law.params_),
        "theta": [float(v) for v in law.theta_],
    }
    for name in ("objective_", "n_agree_", "n_polished_", "converged_", "x_"):
        if hasattr(law, name):
            record[name.rstrip("_")] = getattr(law, name)
    if runs and hasattr(law, "rows_"):
        rows = law.rows_
        record["runs"] = {
            "x": {name: _plain(values) for name, values in rows.x.items()},
            "y": _plain(rows.y),
            "weights": None if rows.weights is None else _plain(rows.weights),
            "columns": {
                str(c): _plain(rows.frame[c].to_numpy())
                for c in rows.frame.columns
                if c not in rows.x and c != law.target and _is_plain(rows.frame[c])
            },
        }
    return record


def from_dict(base: type[Law], record: Mapping[str, Any]) -> Law:
    """Return the law that was recorded: see :meth:`Law.from_dict`. A record is foreign until it has been checked."""
    try:
        return _checked(base, record)
    except ValueError:
        raise
    except (TypeError, AttributeError, IndexError, KeyError, OverflowError) as error:
        raise ValueError(
            f"record is damaged ({type(error).__name__}: {error}): it must be what to_dict returned"
        ) from error


def _checked(base: type[Law], record: Mapping[str, Any]) -> Law:
    missing = [k for k in ("law", "settings", "theta", "params") if k not in record]
    if missing:
        raise ValueError(f"record lacks {missing[0]!r}: it must be what to_dict returned")
    kinds = {kind.__name__: kind for kind in _subclasses(base)}
    if record["law"] not in kinds:
        raise ValueError(
            f"record names the law {record['law']!r}, which is not known; import its module first. "
            f"Known are {', '.join(sorted(kinds))}"
        )
    if record.get("format") != _FORMAT:
        raise ValueError(f"record has format {record.get('format')!r}, this version reads {_FORMAT}")
    law = kinds[record["law"]](**record["settings"])
    law._check_settings()
    for name in ("objective", "n_agree", "n_polished", "converged", "x"):
        if name in record:
            setattr(law, f"{name}_", record[name])
    kept = record.get("runs")
    x = {} if kept is None else {name: np.asarray(values) for name, values in kept["x"].items()}
    law.parameters_ = tuple(law._parameters(x))
    law.theta_ = np.array(record["theta"], float)
    if set(record["params"]) != set(law.names_) or law.theta_.shape != (len(law.names_),):
        raise ValueError(
            f"record has the parameters {', '.join(record['params'])}, not {', '.join(law.names_)}"
        )
    law.params_ = {name: float(record["params"][name]) for name in law.names_}
    if not np.allclose(law._natural(law.theta_), list(law.params_.values()), rtol=1e-6, atol=0.0):
        raise ValueError("record contradicts itself: 'params' and 'theta' are not the same numbers")
    for name, own in (("inputs", list(law._inputs())), ("target", law.target)):
        if record.get(name, own) != own:
            raise ValueError(f"record names {name} {record[name]!r}, the law has {own!r}")
    if kept is not None:
        weights = None if kept["weights"] is None else np.array(kept["weights"], float)
        frame = pd.DataFrame({**x, law.target: kept["y"], **kept["columns"]})
        law.rows_ = Rows(x, np.array(kept["y"], float), weights, frame)
        law.runs_ = frame
        law.residuals_ = law._objective().residuals(law.theta_[None])[0]
    return law


def _subclasses(base: type[Law]) -> Iterator[type[Law]]:
    # The core's own laws are known without being imported first.
    from broadsheet.methods.scaling import chinchilla, kaplan, power

    _ = (chinchilla, kaplan, power)
    for kind in base.__subclasses__():
        yield kind
        yield from _subclasses(kind)


def _is_plain(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column) or pd.api.types.is_string_dtype(column))


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
