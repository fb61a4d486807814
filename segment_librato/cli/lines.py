"""Messages in a file, one a line, for the commands that look at each.

Owns what a line is for them. Must not know what is done with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from segment_librato.bulk.files import lines
from segment_librato.bulk.files.items import Gap
from segment_librato.cli.options import MAX_INPUT_BYTES, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read_lines", "read_message"]

TOO_LONG = f"the line has more than {MAX_INPUT_BYTES >> 20} MiB"


def read_lines(file: Any) -> Iterator[tuple[int, bytes]]:  # noqa: ANN401  click's file
    """Yield each line that is not blank, with its number; the beginning, if it is too long.

    Raises:
        click.UsageError: there is none.
    """
    is_empty = True
    for line, _, number in lines.read_lines(file, Gap(), MAX_INPUT_BYTES):
        if not line.isspace():
            is_empty = False
            yield number, line.rstrip(b"\r\n")
    if is_empty:
        raise click.UsageError(f"{file.name} has no line of JSON")


def read_message(line: bytes) -> dict[str, Any]:
    """Return the message of a line. Raises ValueError: it is none; the text says what it is."""
    if len(line) > MAX_INPUT_BYTES:
        raise ValueError(TOO_LONG)
    try:
        return parse_json(line)
    except ValueError as error:
        raise ValueError(str(error).replace(": line 1 column", ": column")) from None
