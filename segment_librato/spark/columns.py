"""The rows of a batch as Spark passes it: with variants, and objects as JSON text.

Owns what the names of columns must be. Must not know messages or Spark's DataFrames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from segment_librato.bulk.arrow import ArrowReader
from segment_librato.bulk.mapping import OBJECTS, parse_json
from segment_librato.bulk.outcomes import Unreadable
from segment_librato.errors import ConfigError, unexpected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pyarrow as pa

__all__ = ["check_names", "read_messages", "read_rows"]


def check_names(names: list[str], mapping: Mapping[str, str] | None) -> None:
    """Check the names of a DataFrame's columns, and that a mapping names no others.

    Raises:
        ConfigError: there are none, so Python would not see how many rows there are; or two are
            the same, of which a row would have one; or one that is mapped is missing.
    """
    if not names:
        raise ConfigError("df: expected at least one column")
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise ConfigError(f"df: expected columns of different names; {twice} is there twice")
    if missing := sorted({*(mapping or {}).values()} - {*names}):
        raise ConfigError(f"mapping: expected columns of the DataFrame; it has no {missing[0]}")


def read_messages(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | Unreadable]:
    """Yield the rows of a batch that are messages: where an object must be, JSON text is one."""
    names = [name for name in batch.schema.names if name in OBJECTS]
    return (_with_objects(row, names) for row in read_rows(batch))


def _with_objects(
    row: dict[str, Any] | Unreadable, names: Sequence[str]
) -> dict[str, Any] | Unreadable:
    if isinstance(row, dict):
        for name in names:
            value = row[name]
            if isinstance(value, str):
                parsed = parse_json(value or "{}")
                if not isinstance(parsed, dict):
                    expected = "a dict, or the JSON of an object"
                    return Unreadable(unexpected(name, expected, parsed), row)
                row[name] = parsed
    return row


class _SparkReader(ArrowReader):
    def structs(self, column: pa.StructArray) -> list[Any]:
        """Return the values of a column of structs, some of which are variants."""
        structs = super().structs(column)
        if any(
            field.metadata and field.metadata.get(b"variant") == b"true" for field in column.type
        ):
            return [_parse_variant(**struct) if struct else None for struct in structs]
        return structs


def _parse_variant(value: bytes | None, metadata: bytes) -> Any:  # noqa: ANN401  any value
    from pyspark.sql.types import VariantVal  # Spark 4

    return None if value is None else VariantVal(value, metadata).toPython()


read_rows: Callable[[pa.RecordBatch], Iterator[dict[str, Any] | Unreadable]] = _SparkReader().rows
