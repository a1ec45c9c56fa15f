"""Results of training, kept on disk, so that measurements which need the same run train it once.

An entry is known by its key, the source code that it depends on, the version of torch and the number of threads.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import logging
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from broadsheet import places

__all__ = ["Kept", "NotKept", "Trained", "fingerprint", "kept"]

_log = logging.getLogger(__name__)
_FORMAT = 1


class NotKept(UserWarning):
    """A result could not be written to the cache, and will be computed again next time."""


@dataclass(frozen=True)
class Trained:
    """What a computation may return where it has tensors to keep.

    Args:
        value: JSON types.
        tensors: Tensors by name, such as a ``state_dict``.
    """

    value: Any
    tensors: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Kept:
    """A result, computed now or earlier.

    Args:
        value: JSON types, the same on a hit as on a miss.
        tensors: Tensors by name; empty where none were given.
        hit: Whether it was found, not computed.
        cpu_seconds: CPU time of the computation, whenever it was made.
        folder: Where it lies.
    """

    value: Any
    tensors: Mapping[str, Any]
    hit: bool
    cpu_seconds: float
    folder: Path


def kept(
    key: Mapping[str, Any],
    compute: Callable[[], Any],
    *,
    code: Iterable[ModuleType | str] = (),
    threads: int | None = None,
) -> Kept:
    """Return a result from the cache, or compute it and keep it.

    Two processes that ask for the same result at once compute it once: the second waits for the first.

    Args:
        key: What the result depends on, as JSON types: shape, corpus fingerprint, tokens, seed, …
        compute: Computes the result: JSON types, or :class:`Trained` with tensors as well.
        code: Modules or packages whose source decides the result, as objects or dotted names. The shared trainer,
            ``tiny_lm``, always counts.
        threads: Threads that torch computes with; by default those it has now.

    Returns:
        The result. Whether it was found is told by ``hit``, and by the log at level INFO.

    Raises:
        TypeError: if key or result are not JSON types.
        ValueError: if a module's source cannot be found.

    Example:
        >>> first = kept({"purpose": "an example"}, lambda: {"loss": 2.5})
        >>> kept({"purpose": "an example"}, lambda: {"loss": 0.0}).value
        {'loss': 2.5}
    """
    name = fingerprint(key, code=code, threads=threads)
    folder = places.cache_folder() / "training" / name
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = _lock(folder)
        lock.acquire()
    except OSError as error:
        return _not_kept(folder, _computed(compute), error)
    try:
        if found := _read(folder):
            _log.info("found %s: %s", name, _told(key))
            return found
        _log.info("computing %s: %s", name, _told(key))
        made = _computed(compute)
        try:
            _write(folder, made, key)
        except OSError as error:
            return _not_kept(folder, made, error)
        return Kept(made.value, made.tensors, hit=False, cpu_seconds=made.cpu_seconds, folder=folder)
    finally:
        lock.release()


def fingerprint(
    key: Mapping[str, Any], *, code: Iterable[ModuleType | str] = (), threads: int | None = None
) -> str:
    """Return the name under which :func:`kept` keeps a result.

    Raises:
        TypeError: if the key is not made of JSON types.
        ValueError: if a module's source cannot be found.
    """
    if not isinstance(key, Mapping):
        raise TypeError(f"key must be a mapping of JSON types, got a {type(key).__name__}")
    modules = {m if isinstance(m, str) else m.__name__ for m in code}
    modules.add("broadsheet.methods._shared.tiny_lm")
    everything = {
        "key": _plain(key, "key"),
        "code": {module: _source_hash(module) for module in sorted(modules)},
        "torch": _torch_version(),
        "threads": threads if threads is not None else _threads(),
        "format": _FORMAT,
    }
    return hashlib.blake2b(json.dumps(everything, sort_keys=True).encode(), digest_size=16).hexdigest()


def _plain(value: Any, name: str) -> Any:
    """Return a value as JSON types, numpy's numbers and arrays made plain."""

    def default(other: Any) -> Any:
        if isinstance(other, np.generic):
            return other.item()
        if isinstance(other, np.ndarray):
            return other.tolist()
        raise TypeError(
            f"{name} must be made of JSON types, it holds a {type(other).__name__}; "
            "make it a number, text, list or mapping"
        )

    return json.loads(json.dumps(dict(value) if isinstance(value, Mapping) else value, default=default))


def _source_hash(module: str) -> str:
    try:
        spec = importlib.util.find_spec(module)
    except ImportError:
        spec = None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise ValueError(f"code must name modules with source, {module!r} has none")
    origin = Path(spec.origin)
    files = sorted(origin.parent.rglob("*.py")) if spec.submodule_search_locations else [origin]
    return _files_hash(tuple((str(file), file.stat().st_mtime_ns) for file in files))


@functools.lru_cache(maxsize=256)
def _files_hash(files: tuple[tuple[str, int], ...]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name, _ in files:
        content = Path(name).read_bytes()
        digest.update(f"{Path(name).name} {len(content)}\0".encode() + content)
    return digest.hexdigest()


def _torch_version() -> str:
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _threads() -> int:
    if not _torch_version():
        return 1
    import torch

    return torch.get_num_threads()


def _told(key: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in key.items())[:300]


# --- Computing, writing, reading -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Computed:
    value: Any
    tensors: dict[str, Any]
    cpu_seconds: float


def _computed(compute: Callable[[], Any]) -> _Computed:
    begin = time.process_time()
    made = compute()
    seconds = time.process_time() - begin
    if not isinstance(made, Trained):
        made = Trained(made)
    tensors = {}
    for name, tensor in made.tensors.items():
        if not hasattr(tensor, "untyped_storage"):
            raise TypeError(f"tensors[{name!r}] must be a tensor, got a {type(tensor).__name__}")
        # A copy of its own: two names of one tensor (tied weights) are refused by the file format.
        tensors[name] = tensor.detach().clone().contiguous()
    return _Computed(_plain(made.value, "the result"), tensors, seconds)


def _lock(folder: Path) -> Any:
    from filelock import FileLock

    return FileLock(folder.with_name(f"{folder.name}.lock"))


def _not_kept(folder: Path, made: _Computed, error: OSError) -> Kept:
    warnings.warn(
        f"{folder.parent} cannot be written ({error.strerror or error}): the result is not kept; "
        "name a folder that can be with BROADSHEET_HOME",
        NotKept,
        stacklevel=3,
    )
    return Kept(made.value, made.tensors, hit=False, cpu_seconds=made.cpu_seconds, folder=folder)


def _write(folder: Path, made: _Computed, key: Mapping[str, Any]) -> None:
    half = Path(tempfile.mkdtemp(prefix=".half-", dir=folder.parent))
    try:
        if made.tensors:
            from safetensors.torch import save_file

            save_file(made.tensors, str(half / "tensors.safetensors"))
        entry = {"value": made.value, "cpu_seconds": made.cpu_seconds, "tensors": sorted(made.tensors)}
        text = json.dumps(entry | {"key": _plain(key, "key")}, indent=1)
        (half / "result.json").write_text(text, encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)  # what is left of a damaged entry
        os.replace(half, folder)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _read(folder: Path) -> Kept | None:
    """Return the entry, or None where there is none or it is damaged."""
    try:
        entry = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        tensors: dict[str, Any] = {}
        if entry["tensors"]:
            from safetensors.torch import load_file

            tensors = load_file(str(folder / "tensors.safetensors"))
            if sorted(tensors) != entry["tensors"]:
                return None
        return Kept(entry["value"], tensors, hit=True, cpu_seconds=entry["cpu_seconds"], folder=folder)
    except FileNotFoundError:
        return None
    except Exception as error:  # any damage is answered by computing again
        _log.warning("%s is damaged (%s) and is computed again", folder, error)
        return None
