"""CSV and TSV: a row is a record, whose fields have the names of the header.

Owns quoting, numbers and booleans. A record that cannot be read costs its first line only: a quote
that is never closed must not take the rest of the file. Must not know where lines come from.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from typing import IO, TYPE_CHECKING, Any

from segment_librato.bulk.files.items import FileError, Gap, Item, unreadable
from segment_librato.bulk.files.lines import TOO_LONG, not_in, read_lines
from segment_librato.bulk.limits import MAX_ROW_BYTES
from segment_librato.bulk.outcomes import Unreadable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from segment_librato.bulk.files.lines import Line

__all__ = ["ReadCell", "read_header", "read_records", "to_value"]

NOT_CLOSED = "a quote is not closed"
CARRIAGE_RETURN = "a carriage return outside quotes; a row must end in a line feed"
NO_LINE_FEEDS = "its lines end in carriage returns alone; convert them with tr '\\r' '\\n'"

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # but tab and line ends

# At most 15 digits, which every reader of JSON keeps. Not "007", nor "12e34": those are ids.
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?")
MAX_DIGITS = 15
BOOLEANS = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}


csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW_BYTES))  # else a cell ends its record


class _TooLongError(Exception):
    """A record has more bytes than any may have."""


def to_value(text: str) -> str | int | float | bool:
    """Return the number or boolean that a text is, else the text."""
    if match := NUMBER.fullmatch(text):
        if len(text) <= MAX_DIGITS:
            return float(text) if match[1] else int(text)
    elif text in BOOLEANS:
        return BOOLEANS[text]
    return text


class ReadCell:
    """How cells become values.

    Args:
        as_text: all stay text.
        texts: columns whose cells stay text: ids, names.
    """

    def __init__(self, *, as_text: bool = False, texts: Collection[str] = ()) -> None:
        self._as_text = as_text
        self._texts = frozenset(texts)

    def row(self, columns: list[str], cells: list[str]) -> dict[str, Any]:
        """Return the row of a record; an empty cell is none."""
        filled = zip(columns, cells, strict=True)
        if self._as_text:
            return {name: cell for name, cell in filled if cell}
        texts = self._texts
        return {name: cell if name in texts else to_value(cell) for name, cell in filled if cell}


class _Feed:
    """The lines of a gap for a reader of records, who may put some back."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._put_back: deque[Line] = deque()
        self._room = 0
        self.taken: list[Line] = []
        self.is_utf_8 = True

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        """Return the next line of a record."""
        if self._room < 0:
            raise _TooLongError
        line = self._put_back.popleft() if self._put_back else next(self._lines)
        self.taken.append(line)
        data = line[0]
        self._room -= len(data)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            self.is_utf_8 = False
            return data.decode("utf-8", "surrogateescape")

    def begin(self) -> None:
        """Begin a record."""
        self.taken = []
        self.is_utf_8 = True
        self._room = MAX_ROW_BYTES

    def give_up(self) -> Line:
        """End a record that cannot be read after its first line, and return that."""
        first, *rest = self.taken
        self._put_back.extendleft(reversed(rest))
        return first


def _records(stream: IO[bytes], gap: Gap, delimiter: str, encoding: str) -> Iterator[Item]:
    """Yield the cells of each record, or an `Unreadable`; blank lines are none."""
    feed = _Feed(read_lines(stream, gap, MAX_ROW_BYTES))
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        feed.begin()
        row: list[str] | Unreadable
        try:
            row = next(reader)
        except StopIteration:
            return
        except (csv.Error, _TooLongError) as error:
            line, end, number = feed.give_up()
            yield Item(unreadable(_reason(error, line), line), end, number, number)
            continue
        (line, _, number), (_, end, until) = feed.taken[0], feed.taken[-1]
        if not feed.is_utf_8:
            row = unreadable(not_in(encoding), b"".join(data for data, *_ in feed.taken))
        if row and not (len(row) == 1 and line.isspace()):
            yield Item(row, end, number, until)


def _reason(error: Exception, line: bytes) -> str:
    if len(line) > MAX_ROW_BYTES:
        return TOO_LONG
    if "new-line character" in str(error):
        return CARRIAGE_RETURN
    is_open = isinstance(error, _TooLongError) or "unexpected end of data" in str(error)
    return NOT_CLOSED if is_open else f"not a record: {error}"


def read_header(stream: IO[bytes], delimiter: str, encoding: str) -> tuple[list[str], Gap]:
    """Return the names of the columns, and what comes after them.

    Raises:
        FileError: there are none, or they are not to be used; the text says why.
    """
    item = next(_records(stream, Gap(), delimiter, encoding), None)
    if item is None:
        raise FileError("it has no header")
    if isinstance(item.row, Unreadable):
        if "\r" in item.row.text:
            raise FileError(NO_LINE_FEEDS)
        raise FileError(f"its header cannot be read: {item.row.reason}")
    columns: Any = item.row
    if found := CONTROL.search("".join(columns)):
        raise FileError(
            f"its header has the control character {found[0]!r}: it is probably not {encoding};"
            " name its encoding with --encoding"
        )
    if not all(columns):
        at = columns.index("") + 1
        advice = "; if pandas wrote it, use to_csv(index=False)" if at == 1 else ""
        raise FileError(f"column {at} of its header has no name{advice}")
    if twice := next((one for one in columns if columns.count(one) > 1), ""):
        raise FileError(f"its header has the column {twice} twice")
    if len(columns) == 1 and (other := _other_delimiter(columns[0])):
        raise FileError(
            f"its header has only one column; if {other} separate columns, use --delimiter"
        )
    return columns, Gap(item.end, None, item.until)


def _other_delimiter(text: str) -> str:
    names = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}
    return next((name for character, name in names.items() if character in text), "")


def read_records(
    stream: IO[bytes],
    gap: Gap,
    delimiter: str,
    columns: list[str],
    cell: ReadCell,
    encoding: str,
) -> Iterator[Item]:
    """Yield the rows of a gap behind the header."""
    for item in _records(stream, gap, delimiter, encoding):
        cells: Any = item.row
        if isinstance(cells, Unreadable):
            yield item
        elif len(cells) == len(columns):
            yield item._replace(row=cell.row(columns, cells))
        else:
            reason = f"the header has {len(columns)} columns, the row {len(cells)}"
            text = delimiter.join(cells).encode("utf-8")
            yield item._replace(row=unreadable(reason, text))
