"""JSON lines: a row is a line with an object.

Must not know where the lines come from.
"""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING

from segment_librato.bulk.files.items import FileError, Item, unreadable
from segment_librato.bulk.files.lines import TOO_LONG, not_in, read_lines
from segment_librato.bulk.limits import MAX_ROW_BYTES
from segment_librato.encoding.decoder import json_decoder

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

    from segment_librato.bulk.files.items import Gap

__all__ = ["check_json_lines", "read_json_lines"]

ONE_ARRAY = "it is one JSON array, not an object a line; `jq -c '.[]'` makes JSON lines of it"
OVER_LINES = "its objects span several lines, not one each; `jq -c .` makes JSON lines of them"

BEGINS_OVER_LINES = re.compile(rb'\s*\{[^\S\n]*\n\s*"')


def check_json_lines(stream: io.BufferedReader) -> None:
    """Look at the beginning, without reading it.

    Raises:
        FileError: there is one array instead of lines, or an object is written over several.
    """
    beginning = stream.peek(1)
    if beginning.lstrip().startswith(b"["):
        raise FileError(ONE_ARRAY)
    if BEGINS_OVER_LINES.match(beginning):
        raise FileError(OVER_LINES)


def read_json_lines(stream: IO[bytes], gap: Gap, encoding: str) -> Iterator[Item]:
    """Yield the rows of a gap; blank lines are none."""
    decode = json_decoder()
    row: object
    for line, end, number in read_lines(stream, gap, MAX_ROW_BYTES):
        if line.isspace():
            continue
        try:
            row = decode(line)
        except ValueError as error:
            row = unreadable(_reason(error, line, encoding), line)
        yield Item(row, end, number, number)


def _reason(error: ValueError, line: bytes, encoding: str) -> str:
    if len(line) > MAX_ROW_BYTES:
        return TOO_LONG
    if isinstance(error, UnicodeDecodeError):
        return not_in(encoding)
    return f"not strict JSON: {error}".replace(": line 1 column", ": column")
