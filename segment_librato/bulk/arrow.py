"""A batch of Arrow columns becomes rows of plain Python values: for Parquet, and for engines.

Owns what Arrow has and a message has not: maps, times of any zone and unit, values that Python
cannot have. Must not know messages, files or engines.
"""

from __future__ import annotations

from datetime import timezone
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from segment_librato.bulk.outcomes import Unreadable
from segment_librato.foreign.interruption import is_interruption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["ArrowReader"]

MAX_TEXT_LENGTH = 32 * 1024  # of a value in a row that cannot be read


class ArrowReader:
    """Reads batches: structs and maps become dicts, times are in UTC and those of Python.

    It does so with pandas or without, whose types pyarrow would prefer for nanoseconds.
    """

    def rows(self, batch: pa.RecordBatch) -> Iterator[dict[str, Any] | Unreadable]:
        """Yield the rows of a batch, which has at least one column.

        A row with a value that Python cannot have, such as a date after the year 9999 or text that
        is not UTF-8, is unreadable; the others are not affected.
        """
        names = batch.schema.names
        columns: list[list[Any]] = []
        try:
            for column in batch.columns:
                columns.append(self.values(column))  # noqa: PERF401  those before an error count
        except (OverflowError, ValueError) as error:
            if is_interruption(error):
                raise
            half = batch.num_rows // 2
            if half:
                yield from self.rows(batch.slice(0, half))
                yield from self.rows(batch.slice(half))
            else:
                yield _unreadable(batch, batch.schema.field(len(columns)), error)
            return
        for values in zip(*columns, strict=True):
            yield dict(zip(names, values, strict=True))

    def values(self, column: pa.Array) -> list[Any]:
        """Return the values of a column, None where it has none.

        Raises:
            OverflowError: Python cannot have one of them.
            ValueError: the same.
        """
        if not len(column):  # Java may have written it without offsets
            return []
        kind = column.type
        if pa.types.is_struct(kind):
            return self.structs(column)
        if pa.types.is_map(kind):
            return self._maps(column)
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            return _cut(column, self.values(_items(column, column.values)))
        if pa.types.is_timestamp(kind):
            return _times(column)
        if pa.types.is_duration(kind):
            column = column.cast(pa.duration("us"), safe=False)
        elif pa.types.is_time64(kind):
            column = column.cast(pa.time64("us"), safe=False)
        values: list[Any] = column.to_pylist()
        return values

    def structs(self, column: pa.StructArray) -> list[Any]:
        """Return the values of a column of structs."""
        names = [field.name for field in column.type]
        columns = [self.values(child) for child in column.flatten()]
        rows = zip(*columns, strict=True) if columns else [()] * len(column)
        return _where_valid(column, [dict(zip(names, values, strict=True)) for values in rows])

    def _maps(self, column: pa.MapArray) -> list[Any]:
        keys, values = (self.values(_items(column, part)) for part in (column.keys, column.items))
        return _cut(column, list(zip(keys, values, strict=True)), _dict)


def _unreadable(batch: pa.RecordBatch, column: pa.Field, error: Exception) -> Unreadable:
    """Return what stands for a row whose value of a column cannot be read: Arrow's texts."""
    problem = f"the value, a {column.type}, cannot be read ({type(error).__name__})"
    if isinstance(error, UnicodeDecodeError):
        problem = "the text is not UTF-8"
    texts = [one.to_string(skip_new_lines=True)[:MAX_TEXT_LENGTH] for one in batch.columns]
    row = dict(zip(batch.schema.names, texts, strict=True))
    return Unreadable(f"{column.name}: {problem}", row)


def _times(column: pa.Array) -> list[Any]:
    """Return times in UTC: Python may not know their zone, such as GMT+8.

    Those without a zone are in UTC as well, said aloud: `message.timestamp` takes one without a
    zone for local time if it is only seconds old.
    """
    kind = column.type
    in_utc = pa.timestamp("us" if kind.unit == "ns" else kind.unit, "UTC" if kind.tz else None)
    values = column.cast(in_utc, safe=False).to_pylist()
    return [value and value.replace(tzinfo=timezone.utc) for value in values]


def _dict(entries: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Return the dict of a map's entries.

    Raises:
        ValueError: they make none.
    """
    try:
        made = dict(entries)
    except TypeError:  # unhashable
        raise ValueError("a key is an object or a list") from None
    if len(made) < len(entries):
        raise ValueError("a key is there twice")
    return made


def _items(column: pa.Array, items: pa.Array) -> pa.Array:
    """Return those of the items of lists or maps that belong to a column, perhaps a slice."""
    start, end = column.offsets[0].as_py(), column.offsets[-1].as_py()
    return items.slice(start, end - start)


def _cut(
    column: pa.Array, items: list[Any], made: Callable[[list[Any]], Any] | None = None
) -> list[Any]:
    """Return the items of each list or map of a column."""
    offsets = column.offsets.to_pylist()
    first = offsets[0]
    lists = [items[start - first : end - first] for start, end in pairwise(offsets)]
    return _where_valid(column, [*map(made, lists)] if made else lists)


def _where_valid(column: pa.Array, values: list[Any]) -> list[Any]:
    if not column.null_count:
        return values
    valid = column.is_valid().to_pylist()
    return [value if one else None for value, one in zip(values, valid, strict=True)]
