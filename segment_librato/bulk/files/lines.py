"""Lines of a stream, bounded, with their positions.

Owns what a line is: what ends with a line feed, or with the stream. Must not know what is in one.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from segment_librato.bulk.limits import MAX_ROW_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segment_librato.bulk.files.items import Gap

__all__ = ["TOO_LONG", "Line", "not_in", "read_lines", "skip"]

TOO_LONG = f"the line has more than {MAX_ROW_BYTES >> 20} MiB"

PIECE = 1024 * 1024

Line = tuple[bytes, int, int]
"""Its bytes (the beginning, if it is too long), its end, and its number."""


def not_in(encoding: str) -> str:
    """Return why a line is rejected that is not in the encoding of its file."""
    if encoding.startswith("utf-8"):
        return "not UTF-8; name its encoding with --encoding"
    return f"not {encoding}; fix the row, or name another encoding with --encoding"


def read_lines(stream: IO[bytes], gap: Gap, most: int) -> Iterator[Line]:
    """Yield the lines of a gap, at whose beginning the stream stands.

    Of a line with more than `most` bytes, one more than that is there.
    """
    read, limit = stream.readline, most + 1
    position, number, last = gap.first, gap.number, gap.last
    while (last is None or position < last) and (line := read(limit)):
        position += len(line)
        number += 1
        if len(line) == limit and not line.endswith(b"\n"):
            position += _skip_line(stream)
        yield line, position, number


def _skip_line(stream: IO[bytes]) -> int:
    """Read the rest of a line, and return its length."""
    size = 0
    while rest := stream.readline(PIECE):
        size += len(rest)
        if rest.endswith(b"\n"):
            break
    return size


def skip(stream: IO[bytes], size: int) -> None:
    """Read so many bytes, and forget them."""
    while size and (piece := stream.read(min(size, PIECE))):
        size -= len(piece)
