"""A file of an import: opened once to look at it, and again to read parts of it.

Owns what the parts of the reading have to do with each other. Must not know which parts are
settled.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from segment_librato.bulk.files.delimited import ReadCell, read_header, read_records
from segment_librato.bulk.files.fingerprint import PIECES, fingerprint
from segment_librato.bulk.files.items import FileError, Gap, Item
from segment_librato.bulk.files.json_lines import check_json_lines, read_json_lines
from segment_librato.bulk.files.lines import skip
from segment_librato.bulk.files.naming import (
    STANDARD_INPUT,
    Kind,
    find_kind,
    is_remote,
    without_secrets,
)
from segment_librato.bulk.files.opening import COPY, UTF_8, open_raw, open_text, read_errors, say
from segment_librato.bulk.files.parquet import open_parquet, read_parquet
from segment_librato.bulk.files.unchanged import GrownError, Unchanged

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

__all__ = ["Reading", "Source"]

NEAR_BYTES = 64 * 1024
NEAR_ROWS = 100
PIECES_OF_REMOTE = 16  # each is a request


class Reading(NamedTuple):
    """How files are read.

    Attributes:
        format: that of all files; None is by suffix.
        encoding: that of text.
        delimiter: between the fields of CSV and TSV; None is a comma, or a tab.
        cell: what becomes of these fields.
    """

    format: str | None = None
    encoding: str = UTF_8
    delimiter: str | None = None
    cell: ReadCell = ReadCell()  # noqa: B008, RUF100  it has no state


class _Text(NamedTuple):
    """The text of a file, behind its header."""

    stream: IO[bytes]
    can_seek: bool
    encoding: str
    columns: list[str]
    body: Gap


class Source:
    """A file of an import. For one thread at a time.

    Attributes:
        path: its path, or its URL without secrets, or `-`.
        kind: its format and compression.
        fingerprint: of its contents; empty for standard input.
        size: its bytes, compressed as they are; 0 for standard input.
        columns: the names in the header of CSV and TSV, or in the schema of Parquet.
    """

    def __init__(self, path: str, reading: Reading) -> None:
        """Look at a file.

        Raises:
            FileError: it cannot be imported so; the text names it.
            OSError: it cannot be read.
        """
        self.path: str = without_secrets(path) if is_remote(path) else path
        self._url = path
        self.fingerprint: str = ""
        self.size: int = 0
        self.columns: list[str] = []
        self._reading = reading
        self._text: _Text | None = None
        self._can_seek = False
        self._rows = self._begin = 0
        self._raw: IO[bytes] | None = None
        self._bytes_done = 0
        with self._naming_itself():
            if not (self.is_stream or is_remote(path)):
                Path(path).stat()  # what its name says matters only if it is there
            self.kind: Kind = find_kind(self.path, reading.format)
            self._look()

    @property
    def is_stream(self) -> bool:
        """Whether it can be read once only."""
        return self.path == STANDARD_INPUT

    @property
    def bytes_done(self) -> int:
        """How many of its bytes were read, about; any thread may ask."""
        raw = self._raw
        if raw is None or self.is_stream:
            return self._bytes_done
        try:
            return raw.tell()
        except ValueError:  # it was closed
            return self._bytes_done

    def mark_done(self) -> None:
        """Count all of it as read: nothing of it is left."""
        self._bytes_done = self.size

    def read(self, gaps: list[Gap]) -> Iterator[Item]:
        """Yield the rows of gaps, which are in order.

        Raises:
            FileError: it cannot be imported so; the text names it.
            OSError: it cannot be read on.
        """
        with self._naming_itself(), self._opened() as raw:
            if self.kind.format == "parquet":
                for item in self._read_parquet(raw, gaps):
                    self._bytes_done = self.size * item.end // self._rows
                    yield item
            else:
                self._raw = raw
                yield from self._telling_the_rest(self._read_text(raw, gaps), gaps)
            self.mark_done()
            self._raw = None

    def look(self, gaps: list[Gap]) -> Iterator[Item]:
        """Yield the rows of gaps, which do not count as read."""
        with self._naming_itself(), self._opened() as raw:
            is_parquet = self.kind.format == "parquet"
            yield from (self._read_parquet if is_parquet else self._read_text)(raw, gaps)

    def near_end(self) -> list[Gap]:
        """Return a short part at the end of the file, whose first row may lack its beginning."""
        if self.kind.format == "parquet":
            return [Gap(max(0, self._rows - NEAR_ROWS))]
        return [Gap(max(0, self.size - NEAR_BYTES))] if self._can_seek else []

    def _look(self) -> None:
        with self._opened(for_pieces=True) as raw:
            if not self.is_stream:
                self._identify(raw)
                raw = self._bounded(raw)  # noqa: PLW2901  the same bytes
            if self.kind.format == "parquet":
                file = open_parquet(raw)
                self.columns, self._rows = file.schema_arrow.names, file.metadata.num_rows
            else:
                self._text = self._open_text(raw)
                self._can_seek = self._text.can_seek
                self.columns, self._begin = self._text.columns, self._text.body.first
                if not self.is_stream:
                    self._text = None

    def _identify(self, raw: IO[bytes]) -> None:
        pieces = PIECES_OF_REMOTE if is_remote(self.path) else PIECES
        try:
            self.fingerprint, self.size = fingerprint(raw, pieces)
        except ValueError as error:  # a pipe, or a server that gives all or nothing
            if is_remote(self.path):
                raise
            raise FileError(f"it cannot be read in parts ({error}): {COPY}") from None

    def _open_text(self, raw: IO[bytes]) -> _Text:
        if self._text:  # a stream has no other beginning
            return self._text
        text = open_text(raw, self.kind.compression, self._reading.encoding)
        stream, _, encoding = text
        if self.kind.format == "jsonl":
            check_json_lines(stream)
            return _Text(*text, [], Gap())
        return _Text(*text, *read_header(stream, self._delimiter, encoding))

    @property
    def _delimiter(self) -> str:
        return self._reading.delimiter or ("\t" if self.kind.format == "tsv" else ",")

    def _read_parquet(self, raw: IO[bytes], gaps: list[Gap]) -> Iterator[Item]:
        file = open_parquet(raw)
        for gap in gaps:
            yield from read_parquet(file, gap)

    def _read_text(self, raw: IO[bytes], gaps: list[Gap]) -> Iterator[Item]:
        stream, can_seek, encoding, columns, body = self._open_text(raw)
        position = body.first
        for gap in gaps:
            if gap.first < body.first:
                gap = gap._replace(first=body.first, number=body.number)  # noqa: PLW2901  behind the header
            if not can_seek:
                skip(stream, gap.first - position)
            elif gap.first != position:
                stream.seek(gap.first)
            if columns:
                cell = self._reading.cell
                yield from read_records(stream, gap, self._delimiter, columns, cell, encoding)
            else:
                yield from read_json_lines(stream, gap, encoding)
            position = gap.last or 0  # the gap without an end is the last one

    def _telling_the_rest(self, items: Iterator[Item], gaps: list[Gap]) -> Iterator[Item]:
        """Yield items; say where the rest begins if others add to the file meanwhile."""
        end = max(gaps[-1].first, self._begin)
        try:
            for item in items:
                end = max(end, item.end)
                yield item
        except GrownError as error:
            advice = "what was added was not imported"
            if self._can_seek:
                header = ", and add the header" if self.columns else ""
                advice += f"; make a file of it with tail -c +{end + 1}{header}"
            raise OSError(0, f"{error.strerror}: {advice}") from None

    @contextmanager
    def _opened(self, *, for_pieces: bool = False) -> Generator[IO[bytes], None, None]:
        raw = open_raw(self._url, for_pieces=for_pieces)
        try:
            yield raw if for_pieces or self.is_stream else self._bounded(raw)
        finally:
            if not self.is_stream:
                raw.close()

    def _bounded(self, raw: IO[bytes]) -> IO[bytes]:
        stream: Any = Unchanged(raw, self.size)
        is_parquet = self.kind.format == "parquet"
        return io.BufferedReader(stream) if is_parquet else stream  # pyarrow reads n or fails

    @contextmanager
    def _naming_itself(self) -> Generator[None, None, None]:
        """Have errors tell which file it is."""
        try:
            yield
        except FileError as error:
            raise FileError(f"{self.path}: {error}") from None
        except read_errors() as error:
            is_damaged = not is_remote(self.path)
            problem = f"it is damaged: {error}" if is_damaged else say(error)
            raise OSError(0, getattr(error, "strerror", None) or problem, self.path) from None
        except Exception as error:
            if not is_remote(self.path):
                raise
            raise OSError(0, say(error), self.path) from None  # a back end has its own
