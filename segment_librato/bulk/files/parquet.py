"""Parquet: a row is a row, with positions in rows.

A column of bytes is one of texts if its first rows are in UTF-8, as those of Impala and Hive are.
An empty field is none. Must not know where a file is.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from segment_librato.bulk.files.items import FileError, Gap, Item
from segment_librato.bulk.outcomes import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["open_parquet", "read_parquet"]

BATCH_ROWS = 1000
BATCH_BYTES = 8 * 1024 * 1024  # as Parquet has it: in memory, it is several times as much


MISSING = 'Parquet needs an extra: pip install "segment-librato[parquet]"'


def open_parquet(stream: IO[bytes]) -> Any:  # noqa: ANN401  pyarrow has no types
    """Return the `ParquetFile` of a stream.

    Raises:
        FileError: pyarrow is not installed, or the file is not Parquet.
    """
    try:
        import pyarrow as pa  # an extra
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise FileError(MISSING) from None
    try:
        file = pq.ParquetFile(stream)
    except (pa.ArrowException, OSError) as error:
        raise FileError(f"it is not a Parquet file: {error}") from None
    names = file.schema_arrow.names
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise FileError(f"it has the column {twice} twice")
    return file


def read_parquet(file: Any, gap: Gap) -> Iterator[Item]:  # noqa: ANN401  the same
    """Yield the rows of a gap; row groups outside of it are not read."""
    from segment_librato.bulk.arrow import ArrowReader  # pyarrow is there if a file is

    reader = ArrowReader()
    first, last = gap.first, file.metadata.num_rows if gap.last is None else gap.last
    texts = _columns_of_texts(file)
    begin = 0
    for group in range(file.num_row_groups):
        end = begin + file.metadata.row_group(group).num_rows
        if begin < last and end > first:
            position = begin
            for batch in file.iter_batches(_rows_at_once(file.metadata.row_group(group)), [group]):
                skipped = max(first - position, 0)
                wanted = _with_texts(batch[skipped : max(last - position, 0)], texts)
                number = position + skipped
                for row in reader.rows(wanted):
                    number += 1
                    yield Item(_without_nothing(row), number, number, number)
                position += batch.num_rows
        begin = end


def _rows_at_once(group: Any) -> int:  # noqa: ANN401  the same
    """Return how many rows of a group to have in memory: few, if they are wide."""
    of_a_row: int = group.total_byte_size // max(group.num_rows, 1)
    return max(1, min(BATCH_ROWS, BATCH_BYTES // max(of_a_row, 1)))


def _without_nothing(row: dict[str, Any] | Unreadable) -> object:
    if isinstance(row, Unreadable):
        return row
    return {name: value for name, value in row.items() if value is not None}


def _with_texts(batch: Any, texts: frozenset[str]) -> Any:  # noqa: ANN401  the same
    if not texts:
        return batch
    import pyarrow as pa  # the same

    fields = [
        field.with_type(pa.string()) if field.name in texts else field for field in batch.schema
    ]
    return batch.cast(pa.schema(fields), safe=False)


def _columns_of_texts(file: Any) -> frozenset[str]:  # noqa: ANN401  the same
    """Return the columns of bytes whose first rows are text: all rows have one type then."""
    import pyarrow as pa  # it is there if a file is

    names = [field.name for field in file.schema_arrow if _is_of_bytes(field.type, pa)]
    if not (names and file.metadata.num_rows):
        return frozenset()
    size = _rows_at_once(file.metadata.row_group(0))
    batch = next(file.iter_batches(size, columns=names))
    return frozenset(name for name in names if _is_text(batch[name], pa))


def _is_of_bytes(kind: Any, pa: Any) -> bool:  # noqa: ANN401  the same
    types = pa.types
    of_bytes = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary)
    return any(is_one(kind) for is_one in of_bytes)


def _is_text(column: Any, pa: Any) -> bool:  # noqa: ANN401  the same
    if column.null_count == len(column):
        return False
    try:
        column.cast(pa.string())
    except pa.ArrowException:
        return False
    return True
