"""An import of files: each row of theirs goes to the importer once, and its outcome to the state.

Owns which parts are read, and where each row came from. Must not know formats or delivery.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from segment_librato.bulk.files.items import FileError, Gap
from segment_librato.bulk.outcomes import reject_line
from segment_librato.bulk.recording import Recorder
from segment_librato.bulk.report import ImportReport, Tally
from segment_librato.bulk.settlement import Range, Settlement

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from segment_librato.bulk.dry_run import DryRun
    from segment_librato.bulk.files.items import Item
    from segment_librato.bulk.files.source import Source
    from segment_librato.bulk.importer import Importer
    from segment_librato.bulk.outcomes import Outcome, Settled
    from segment_librato.bulk.rejects import RejectsFile
    from segment_librato.bulk.state import State

__all__ = ["FileImport", "Part", "plan"]


class _Place(NamedTuple):
    """Where a row that is under way came from."""

    source: int
    first: int
    last: int
    number: int
    until: int


class Part(NamedTuple):
    """A part of a file, in order: to be read, or settled already.

    Attributes:
        gap: where it is.
        is_settled: whether its rows have their outcomes.
    """

    gap: Gap
    is_settled: bool


def plan(ranges: list[Range]) -> list[Part]:
    """Return the parts of a file of which these ranges are settled."""
    parts: list[Part] = []
    position = number = 0
    for one in ranges:
        if one.first > position:
            parts.append(Part(Gap(position, one.first, number), is_settled=False))
        parts.append(Part(Gap(one.first, one.last, number), is_settled=True))
        position, number = one.last, one.number
    return [*parts, Part(Gap(position, None, number), is_settled=False)]


class FileImport:
    """The rows of some files on their way. For one thread at a time.

    Attributes:
        files_done: how many files have been read to their end.
    """

    def __init__(
        self,
        sources: list[Source],
        files: list[int],
        importer: Importer | DryRun,
        state: State | None = None,
        rejects: RejectsFile | None = None,
        limit: int | None = None,
    ) -> None:
        """Look up what is settled.

        Args:
            sources: the files.
            files: their ids in the state, if there is one.
            importer: what delivers.
            state: what is settled; None if the files cannot be read again.
            rejects: gets the rows that are rejected.
            limit: deliver or reject so many rows at most.
        """
        self._sources = sources
        self._importer = importer
        self._state = state
        self._rejects = rejects
        self._limit = limit
        self._tally = Tally()
        self._total = Tally(state.delivered, state.reasons) if state else Tally()
        self._places: dict[int, _Place] = {}
        self._number = 0
        self._problem: FileError | OSError | None = None
        self._is_stopped = self._is_waiting = False
        self.files_done: int = 0
        self._files = files
        ranges: list[list[Range]] = [[] for _ in sources]
        if state:
            ranges = [state.ranges(file) for file in files]
        self._plans = [plan(each) for each in ranges]
        for at, file in enumerate(files):
            if state and state.is_done(file):
                self._plans[at].pop()  # nothing is left at its end
        self._skipped = sum(one.rows for each in ranges for one in each)
        self._counts_rows = state is not None and state.counts_rows

    @property
    def bytes_done(self) -> int:
        """How many bytes of the files were read, about."""
        return sum(source.bytes_done for source in self._sources)

    def report(self) -> ImportReport:
        """Return what became of the rows so far."""
        return self._tally.report(self._skipped)

    def total(self) -> ImportReport:
        """Return what became of the rows in all runs so far."""
        return self._total.report()

    def interrupt(self) -> None:
        """Have no more rows read, and `run` end when the requests under way have ended.

        For a signal handler: a read of standard input, which may take forever, ends as well.
        """
        self._is_stopped = True
        self._importer.stop()
        if self._is_waiting:
            self._is_waiting = False
            raise KeyboardInterrupt

    def run(self) -> Generator[ImportReport, None, None]:
        """Deliver the rows, and yield the report so far after each request.

        Raises:
            ImportStoppedError: rows could be neither delivered nor rejected.
            FileError: a file cannot be read in its format; the text names it.
            OSError: a file cannot be read on, or the state or the rejects cannot be written.
        """
        with (
            Recorder(self._state, self._rejects) as recorder,
            closing(self._rows()) as rows,
            closing(self._importer.settle(rows)) as settling,
        ):
            for settled in settling:
                self._note(settled, recorder)
                yield self.report()
        if self._state:
            self._state.finish(*self._files[: self.files_done])
        if self._problem:
            raise self._problem

    def _rows(self) -> Generator[object, None, None]:
        """Yield the rows of all files, up to one that cannot be read on."""
        try:
            yield from self._rows_of_files()
        except (FileError, OSError) as error:
            self._problem = error  # to be raised when all that was read has its outcome
        except KeyboardInterrupt:
            if not self._is_stopped:
                raise

    def _rows_of_files(self) -> Iterator[object]:
        """Yield the rows that are not settled, and count the others if equal rows matter."""
        for at, source in enumerate(self._sources):
            parts = [part for part in self._plans[at] if self._counts_rows or not part.is_settled]
            items: Iterable[Item] = source.read([part.gap for part in parts]) if parts else ()
            if source.is_stream:
                items = self._waiting(items)
            for part, first, item in _in_parts(items, parts):
                if self._is_stopped:
                    return
                if part.is_settled:
                    self._importer.count(item.row)
                    continue
                self._number += 1
                self._places[self._number] = _Place(at, first, item.end, item.number, item.until)
                yield item.row
                if self._number == self._limit:  # and no row more is waited for
                    return
            self.files_done = at + 1

    def _waiting(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield items, each of which may be waited for."""
        left = iter(items)
        while True:
            self._is_waiting = True
            try:
                item = None if self._is_stopped else next(left, None)
            finally:
                self._is_waiting = False
            if item is None:
                return
            yield item

    def _note(self, settled: Settled, recorder: Recorder) -> None:
        """Count outcomes, and have them recorded."""
        places = [self._places.pop(outcome.number) for outcome in settled.outcomes]
        rejected = self._tally.add(settled.outcomes)
        self._total.add(settled.outcomes)
        total = self.total()
        settlement = Settlement(
            [(self._files[at], one) for at, one in _join(places)] if self._state else [],
            total.delivered,
            total.reasons,
            self._counts_rows or self._importer.tells_equal_rows_apart,
        )
        recorder.record(
            settlement, [self._line(one, places[one.number - settled.first]) for one in rejected]
        )

    def _line(self, outcome: Outcome, place: _Place) -> bytes:
        path = self._sources[place.source].path
        return reject_line(outcome._replace(number=place.number), file=path)


def _in_parts(items: Iterable[Item], parts: list[Part]) -> Iterator[tuple[Part, int, Item]]:
    """Yield each row with its part and the position where it begins."""
    at, position = 0, parts[0].gap.first if parts else 0
    for item in items:
        while not _is_in(item, parts[at].gap):
            at += 1
            position = parts[at].gap.first
        part = parts[at]
        yield part, position, item
        position = item.end


def _is_in(item: Item, gap: Gap) -> bool:
    return gap.last is None or item.end <= gap.last


def _join(places: list[_Place]) -> Iterator[tuple[int, Range]]:
    """Yield the ranges that rows make up, each with the number of its source."""
    begin = 0
    for at in range(1, len(places) + 1):
        before = places[at - 1]
        is_next = at < len(places) and places[at][:2] == (before.source, before.last)
        if not is_next:
            first = places[begin].first
            yield before.source, Range(first, before.last, before.until, at - begin)
            begin = at
