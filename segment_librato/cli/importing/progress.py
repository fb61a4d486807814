"""How far a run is: a bar on a terminal, else a line now and then.

A thread of its own shows it, as nothing may settle for minutes: while the server wants a pause, or
while settled rows are counted. Only it touches the bar, whose locks a signal handler needs to write
above it. Must not know why a run ends.
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from segment_librato.cli.importing.summary import numbers
from segment_librato.cli.units import in_time, in_units

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from segment_librato.bulk.file_import import FileImport
    from segment_librato.bulk.report import ImportReport
    from segment_librato.cli.output import Output

__all__ = ["Progress"]

BAR_SECONDS = 0.2
WIDE = 80  # columns


class Progress:
    """Shows how far a run is."""

    def __init__(
        self,
        work: FileImport,
        output: Output,
        total_bytes: int,
        pause: float,
        limit: int | None,
        *,
        is_dry: bool,
    ) -> None:
        """Show nothing yet.

        Args:
            work: the rows.
            output: where to show it.
            total_bytes: the size of all files; 0 if that is not known.
            pause: seconds between two lines; 0 is a line for each request that has ended.
            limit: how many rows are taken at most; None is all.
            is_dry: whether nothing is sent.
        """
        self._work = work
        self._output = output
        self._total = total_bytes
        self._pause = pause
        self._limit = limit
        self._is_dry = is_dry
        self._is_bar = output.is_terminal and not output.console.is_dumb_terminal
        self._is_narrow = self._is_bar and output.console.width < WIDE
        self._began = time.monotonic()
        self._begun_at = work.bytes_done
        self._report = work.report()
        self._over = threading.Event()

    @contextmanager
    def shown(self) -> Generator[Callable[[ImportReport], object], None, None]:
        """Show it until this ends; yield what is to be told of each report."""
        with self._bar() as show:
            pause = BAR_SECONDS if self._is_bar else self._pause

            def note(report: ImportReport) -> None:
                self._report = report
                if not pause:
                    show()

            args = show, pause
            name = "segment-import-progress"
            thread = threading.Thread(target=self._tell, args=args, name=name, daemon=True)
            if pause:
                thread.start()
            try:
                yield note
            finally:
                self._over.set()
                if pause:
                    thread.join()

    def _tell(self, show: Callable[[], object], pause: float) -> None:
        """Show it now and then. If it cannot be written, nor can the summary, which tells why."""
        with suppress(OSError):
            while not self._over.wait(pause):
                show()

    @contextmanager
    def _bar(self) -> Generator[Callable[[], object], None, None]:
        """Yield what shows how far it is."""
        if not self._is_bar:
            yield self._write_line
            return
        from rich import progress  # only a terminal needs it

        bar_column = progress.BarColumn(complete_style="green", finished_style="green")
        text_column = progress.TextColumn("{task.description}")
        columns = (text_column,) if self._is_narrow else (bar_column, text_column)
        bar = progress.Progress(
            *columns,
            console=self._output.console,
            auto_refresh=False,  # that would be another thread
            transient=True,
            redirect_stderr=sys.stderr.isatty(),  # else errors would leave their file
        )
        task = bar.add_task(self._describe(), total=self._whole or None)

        def show() -> None:
            bar.update(task, completed=self._done, description=self._describe(), refresh=True)

        with bar:
            yield show

    @property
    def _settled(self) -> int:
        return self._report.delivered + self._report.rejected

    @property
    def _whole(self) -> int:
        """How much there is to do: rows if they are limited, or else bytes; 0 if unknown."""
        return self._limit or self._total

    @property
    def _done(self) -> int:
        """How much of it is done."""
        return self._settled if self._limit else self._work.bytes_done

    def _write_line(self) -> None:
        self._output.say(self._describe())
        counts = numbers(self._report, is_dry=self._is_dry)
        del counts["reasons"]
        seconds, done = round(time.monotonic() - self._began, 3), self._work.bytes_done
        self._output.record(
            event="progress", **counts, bytes=done, total_bytes=self._total, seconds=seconds
        )

    def _describe(self) -> str:
        report, done, whole = self._report, self._done, self._whole
        seconds = max(time.monotonic() - self._began, 0.001)  # some clocks have steps of 16 ms
        most = f" of {self._limit:,} at most" if self._limit else ""
        parts = [f"{report.read:,} rows"] if not most else [f"{self._settled:,} rows{most}"]
        if self._total and not (self._limit or self._is_narrow):
            parts.append(f"{in_units(done)} of {in_units(self._total)}")
        if not self._is_narrow:
            parts.append(f"{self._settled / seconds:,.0f}/s")
        begun_at = 0 if self._limit else self._begun_at
        if whole and done > begun_at:
            parts.append(f"{in_time(seconds * (whole - done) / (done - begun_at))} left")
        return ", ".join([*parts, f"rejected: {report.rejected:,}"])
