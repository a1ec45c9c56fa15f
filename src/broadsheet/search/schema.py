"""The full-text index: an FTS5 table over somebody else's table, kept in step by triggers.

The index stores no text of its own (external content). It reads a view, in which words that the tokeniser would
mutilate are written as it can keep them: see :data:`SPELT_OUT`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = [
    "SPELT_OUT",
    "TOKENIZER",
    "Column",
    "Index",
    "add_together",
    "create",
    "drop",
    "pause",
    "restore",
    "spell_out",
]

# English stems, lower case, no accents: "Modèles" is found by "model".
TOKENIZER = "porter unicode61 remove_diacritics 2"

# The tokeniser keeps letters and digits only, so that C++ would be the letter c. Applied to text and query alike.
SPELT_OUT = (("c++", "cplusplus "), ("c#", "csharp "))


@dataclass(frozen=True)
class Column:
    """A column of the index.

    Args:
        name: Its name, in the index and in the table that holds the text.
        sql: What is indexed, with ``{}`` where the column's text stands.
        weight: What a match in it counts in ranking, >= 0.
        is_prose: Whether words such as C++ may stand in it.
    """

    name: str
    sql: str = "{}"
    weight: float = 1.0
    is_prose: bool = True

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.weight < 0:
            raise ValueError(f"weight must be >= 0, got {self.weight}")


@dataclass(frozen=True)
class Index:
    """What is indexed.

    Args:
        table: Name of the FTS5 table.
        content: Name of the table that holds the text.
        key: Its integer primary key.
        columns: Its columns.
    """

    table: str
    content: str
    key: str
    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        for name in (self.table, self.content, self.key):
            _check_name(name)
        if not self.columns:
            raise ValueError("columns must name at least one column")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def view(self) -> str:
        """Name of the view that the index reads."""
        return f"{self.table}_text"

    @property
    def pause(self) -> str:
        """Name of the table that holds a row while new rows are not indexed one by one."""
        return f"{self.table}_pause"


def _check_name(name: str) -> None:
    if not name.isidentifier():
        raise ValueError(f"a table or column must be named by an identifier, got {name!r}")


def spell_out(text: str) -> str:
    """Return a text as the index's view spells it, in small letters and capitals.

    Args:
        text: A text, or what somebody looks for.

    Example:
        >>> spell_out("a C++ compiler")
        'a cplusplus  compiler'
    """
    for written, spelt in SPELT_OUT:
        for form in (written, written.upper()):
            text = text.replace(form, spelt)
    return text


def restore(text: str) -> str:
    """Return text of the index as a person writes it.

    Args:
        text: Text as the index's view holds it, or a part of it.

    Example:
        >>> restore("a cplusplus  compiler")
        'a C++ compiler'
    """
    for written, spelt in SPELT_OUT:
        text = text.replace(spelt, written.upper())
    return text


def _spelt(column: str) -> str:
    for written, spelt in SPELT_OUT:
        for form in (written, written.upper()):
            column = f"replace({column}, '{form}', '{spelt}')"
    return column


def create(index: Index) -> Iterator[str]:
    """Yield the statements that make the index and fill it from the rows that are there.

    Args:
        index: What is indexed.
    """
    columns = ", ".join(index.names)
    view = ", ".join(
        f"{c.sql.format(_spelt(c.name) if c.is_prose else c.name)} AS {c.name}" for c in index.columns
    )
    yield f"CREATE VIEW {index.view} AS SELECT {index.key}, {view} FROM {index.content}"
    yield (
        f"CREATE VIRTUAL TABLE {index.table} USING fts5({columns}, content='{index.view}', "
        f"content_rowid='{index.key}', tokenize='{TOKENIZER}')"
    )
    # Merging eight small pieces of the index at a time and not four: a bulk import is faster, a search no slower.
    yield f"INSERT INTO {index.table}({index.table}, rank) VALUES ('automerge', 8)"
    text = f"SELECT {{}}{index.key}, {columns} FROM {index.view} WHERE {index.key} ="
    add = f"INSERT INTO {index.table}(rowid, {columns}) {text.format('')} new.{index.key};"
    # An entry is removed by its old text, which must be read while it is still there: hence the BEFORE.
    remove = (
        f"INSERT INTO {index.table}({index.table}, rowid, {columns}) "
        + text.format("'delete', ")
        + f" old.{index.key};"
    )
    # Saving a row with its text unchanged must not index it again.
    differs = " OR ".join(f"old.{c} IS NOT new.{c}" for c in (index.key, *index.names))
    yield f"CREATE TABLE {index.pause} (on_purpose INTEGER NOT NULL)"
    on = f"ON {index.content}"
    update = f"UPDATE OF {index.key}, {columns} {on} WHEN {differs}"
    for name, event, action in (
        ("added", f"AFTER INSERT {on} WHEN NOT EXISTS (SELECT 1 FROM {index.pause})", add),
        ("removed", f"BEFORE DELETE {on}", remove),
        ("changing", f"BEFORE {update}", remove),
        ("changed", f"AFTER {update}", add),
    ):
        yield f"CREATE TRIGGER {index.table}_{name} {event} BEGIN {action} END"
    yield f"INSERT INTO {index.table}({index.table}) VALUES ('rebuild')"


def drop(index: Index) -> Iterator[str]:
    """Yield the statements that remove the index and leave the text.

    Args:
        index: What was indexed.
    """
    for what in ("added", "removed", "changing", "changed"):
        yield f"DROP TRIGGER IF EXISTS {index.table}_{what}"
    yield f"DROP TABLE IF EXISTS {index.table}"
    yield f"DROP VIEW IF EXISTS {index.view}"
    yield f"DROP TABLE IF EXISTS {index.pause}"


def pause(index: Index) -> str:
    """Return the statement after which new rows are not indexed, until :func:`add_together`.

    FTS5 writes its memory out at every statement that fires a trigger, so indexing row by row costs twice the
    time. The pause is a row in a table: it must begin and end in one transaction, and nobody else ever sees it.

    Args:
        index: What is indexed.
    """
    return f"INSERT INTO {index.pause} VALUES (1)"


def add_together(index: Index, after: int) -> Iterator[str]:
    """Yield the statements that index the rows added during a pause, and end it.

    Args:
        index: What is indexed.
        after: The largest key before the pause.
    """
    columns = ", ".join(index.names)
    yield f"DELETE FROM {index.pause}"
    yield (
        f"INSERT INTO {index.table}(rowid, {columns}) "
        f"SELECT {index.key}, {columns} FROM {index.view} WHERE {index.key} > {after:d}"
    )
