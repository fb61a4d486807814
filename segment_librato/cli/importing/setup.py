"""From the options of an import to its files and rules, and its state opened.

Owns what of them has to stay the same from run to run. Must not know what is done with them.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING

import click

from segment_librato.bulk.files.delimited import ReadCell
from segment_librato.bulk.files.finding import find_paths
from segment_librato.bulk.files.items import FileError
from segment_librato.bulk.files.naming import STANDARD_INPUT
from segment_librato.bulk.files.opening import check_encoding
from segment_librato.bulk.files.source import Reading, Source
from segment_librato.bulk.mapping import COMMON, FIELDS_OF_TYPE
from segment_librato.bulk.rules import RowRules
from segment_librato.bulk.state import State
from segment_librato.bulk.state_file import StateError
from segment_librato.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from segment_librato.cli.importing.options import Rows
    from segment_librato.config.client import Config

__all__ = ["open_sources", "open_state", "telling_usage"]

NOT_BESIDE_FILES = (
    "standard input cannot be resumed, and files can: import - by itself, and the files by"
    " themselves"
)

# "042" and "42" are two users, and a name may be a number.
TEXTS = COMMON.union(*FIELDS_OF_TYPE.values()) - {"timestamp"}


@contextmanager
def telling_usage() -> Generator[None, None, None]:
    """Have what is wrong with a file or a state count as wrong usage."""
    try:
        yield
    except (FileError, StateError) as error:
        raise click.UsageError(str(error)) from None


def open_sources(
    files: tuple[str, ...], rows: Rows, written: Sequence[str]
) -> tuple[list[Source], RowRules]:
    """Look at the files, and return them with the rules for their rows.

    Args:
        files: names, patterns and URLs.
        rows: the options about rows.
        written: files that the import itself writes; no pattern means them.

    Raises:
        click.UsageError: they cannot be imported so, or one cannot be read.
        ConfigError: an option of the rules is wrong.
    """
    given = _mapping(rows)
    with telling_usage():
        texts = TEXTS.union(column for target, column in rows.map if target in TEXTS)
        cell = ReadCell(as_text=rows.text, texts=texts)
        encoding = check_encoding(rows.encoding)
        reading = Reading(rows.format, encoding, rows.delimiter, cell)
        paths = find_paths(files, written)
        if STANDARD_INPUT in paths and len(paths) > 1:
            raise click.UsageError(NOT_BESIDE_FILES)
        sources = [_open(path, reading) for path in paths]
    are_tables = {source.kind.format != "jsonl" for source in sources}
    if len(are_tables) > 1 and not given:
        raise click.UsageError("import JSON lines and tables one by one, or with a --map for both")
    columns = {column for source in sources for column in source.columns}
    if are_tables == {True}:
        _check_columns(columns, rows)
    mapping = given if given or True in are_tables else None
    rules = RowRules(rows.type, rows.event, mapping, rows.key, rows.name, rows.now)
    for source in sources:
        _check_places(source, rules)
    return sources, rules


def _mapping(rows: Rows) -> dict[str, str]:
    """Return the column of each target, each of which has one."""
    given: dict[str, str] = {}
    for target, column in rows.map:
        if target in given:
            text = f"--map {target}: it takes one column, not both {given[target]} and {column}"
            raise click.UsageError(text)
        given[target] = column
    return given


def _open(path: str, reading: Reading) -> Source:
    try:
        return Source(path, reading)
    except OSError as error:
        problem = str(error.strerror).removeprefix("it cannot be read: ")
        raise FileError(f"cannot read {error.filename}: {problem}") from None


def _check_columns(columns: set[str], rows: Rows) -> None:
    named = [("--map", f"{target}={one}", one) for target, one in rows.map]
    named += [("--key", one, one) for one in rows.key]
    for option, text, column in named:
        if column not in columns:
            there = ", ".join(sorted(columns))
            raise click.UsageError(f"{option} {text}: no column is called {column}, only {there}")


def _check_places(source: Source, rules: RowRules) -> None:
    """Refuse a table of which each row would be rejected: two columns of it have one place."""
    if source.columns and (columns := rules.columns()):
        try:
            columns.check(source.columns)
        except ValidationError as error:
            raise click.UsageError(f"{source.path}: {error}") from None


def open_state(path: Path, config: Config, rows: Rows) -> State:
    """Open the state of an import.

    Raises:
        click.UsageError: it belongs to another import, or is none.
        OSError: there can be no such file.
    """
    target = f"{config.write_key}\n{config.batch_url}"
    identity = {
        "write key or host": sha256(target.encode()).hexdigest()[:32],  # nobody reads it back
        **{
            f"--{name}": json.dumps(value)
            for name, value in rows._asdict().items()
            if name != "now"
        },
    }
    with telling_usage():
        try:
            return State(path, identity)
        except OSError as error:
            reason = f"{error.strerror}; put the state elsewhere with --state FILE"
            raise OSError(error.errno, reason, str(path)) from None
