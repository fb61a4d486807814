"""A run of an import, and why it ends before its end.

Owns the second Ctrl-C or SIGTERM, and the stop when too many rows are rejected. Must not know where
rows come from.
"""

from __future__ import annotations

import os
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Protocol

import click

from segment_librato.bulk.files.items import FileError
from segment_librato.cli.exit_status import INTERRUPTED, TERMINATED
from segment_librato.cli.failures import say_what_is_wrong
from segment_librato.cli.output import write_error
from segment_librato.errors import ImportStoppedError
from segment_librato.process.ctrl_c import on_ctrl_c, on_sigterm

if TYPE_CHECKING:
    from segment_librato.bulk.allowance import Allowance
    from segment_librato.bulk.file_import import FileImport
    from segment_librato.cli.importing.progress import Progress
    from segment_librato.cli.output import Output

    class Stoppable(Protocol):
        """What delivers or checks rows."""

        def stop(self) -> None:
            """Take no more rows."""


__all__ = ["Run", "Terminated"]

ENDING = "finishing the requests in flight; {} again quits at once"


class Terminated(click.ClickException):
    """A SIGTERM has ended the run."""

    exit_code = TERMINATED


class Run:
    """A run.

    Attributes:
        is_interrupted: whether it ended because of Ctrl-C.
        is_terminated: whether it ended because of SIGTERM.
        problem: why it ended before its end; empty if it did not.
        advice: how to go on then, if there is a state.
        error: which file could not be read or written; None if all could.
        seconds: how long it took.
    """

    def __init__(
        self,
        work: FileImport,
        importer: Stoppable,
        output: Output,
        max_rejects: Allowance | None,
        progress: Progress,
    ) -> None:
        """Begin nothing yet.

        Args:
            work: the rows.
            importer: what is to be stopped.
            output: where progress is shown.
            max_rejects: how many rejected rows end it; None is no limit.
            progress: what is told of each report.
        """
        self.is_interrupted: bool = False
        self.is_terminated: bool = False
        self.problem: str = ""
        self.advice: str = "run the same command again to resume"
        self.error: FileError | OSError | None = None
        self.seconds: float = 0.0
        self._is_exceeded = False
        self._work = work
        self._importer = importer
        self._output = output
        self._max_rejects = max_rejects
        self._progress = progress

    @property
    def stopped(self) -> str | None:
        """Why it ended before its end, in a word or some; None if it did not."""
        if self.is_interrupted:
            return "interrupted"
        if self.is_terminated:
            return "terminated"
        return self.problem or (str(self.error) if self.error else None)

    def go(self) -> None:
        """Settle all rows, as far as it goes."""
        began = time.monotonic()
        with (
            on_ctrl_c(self._interrupt),
            on_sigterm(self._terminate),
            self._progress.shown() as show,
            closing(self._work.run()) as run,
        ):
            try:
                self._look_at_rejects()  # those of earlier runs
                for report in run:
                    show(report)
                    self._look_at_rejects()
            except ImportStoppedError as error:
                self.problem = say_what_is_wrong(error.error)
            except (FileError, OSError) as error:
                self.error = error
        if self._is_exceeded:  # requests that were in flight then may have rejected more
            rejected = self._work.total().rejected
            self.problem = (
                f"--max-rejects {self._max_rejects} is exceeded, {rejected:,} rows rejected"
            )
        self.seconds = time.monotonic() - began

    def _look_at_rejects(self) -> None:
        """Stop if too many rows were rejected, in all runs: another one is no way around it."""
        most, total = self._max_rejects, self._work.total()
        if most and not self._is_exceeded and not most.covers_so_far(total):
            self._is_exceeded = True
            self.advice = "run the same command with a larger one to resume"
            self._importer.stop()

    def _interrupt(self, times: int) -> None:
        self.is_interrupted = True
        self._come_to_an_end("Ctrl-C", INTERRUPTED, times)

    def _terminate(self, times: int) -> None:
        self.is_terminated = True
        self._come_to_an_end("SIGTERM", TERMINATED, times)

    def _come_to_an_end(self, signal: str, status: int, times: int) -> None:
        """Stop at the first signal, and end at the second one: the state is safe at any time."""
        if times > 1:
            if self._output.is_terminal:  # else that would import its package, here
                self._output.console.show_cursor()
            os._exit(status)
        with suppress(RuntimeError):  # it came in the middle of a write
            write_error(ENDING.format(signal))
        self._work.interrupt()
