"""What a command writes: text for people, or JSON lines for scripts; errors as one line on stderr.

Owns the streams. Nothing of an event can control the terminal: what is not printable is escaped.
A reader that has left, such as `head`, is no error: a command goes on in silence. Must not know
what is written.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from contextlib import suppress
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

from segment_librato.cli.failures import translate
from segment_librato.foreign.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console, RenderableType

__all__ = [
    "ErrorLines",
    "Output",
    "Warnings",
    "discard",
    "prepare_streams",
    "write_error",
    "write_to_stderr",
]

WIDE = 10_000  # columns, where no terminal wraps lines: scripts look at whole ones


class Output:
    """What a command writes to stdout.

    Attributes:
        as_json: whether it writes JSON lines.
        quiet: whether it writes nothing but errors.
        has_reader: whether somebody reads it, as far as known.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json: bool = as_json and not quiet
        self.quiet = quiet
        self.has_reader: bool = True

    @cached_property
    def console(self) -> Console:
        """What renders tables; it has colors only on a terminal, without `NO_COLOR`."""
        from rich.console import Console  # `--help` does without

        class Raising(Console):
            def on_broken_pipe(self) -> None:
                raise  # noqa: PLE0704  it is called where one is handled, and would exit

        is_terminal = sys.stdout.isatty()  # whatever FORCE_COLOR says
        return Raising(
            force_terminal=is_terminal,
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=True,
            width=None if is_terminal else WIDE,
        )

    @property
    def is_terminal(self) -> bool:
        """Whether a person looks at it while it is written."""
        return self.is_text and sys.stdout.isatty()

    @property
    def is_text(self) -> bool:
        """Whether it writes text for people."""
        return not (self.as_json or self.quiet)

    def record(self, **values: Any) -> None:  # noqa: ANN401  whatever JSON can hold
        """Write a JSON line, if JSON is wanted."""
        if self.as_json:
            self._write(_escaped(json.dumps(values, ensure_ascii=False, default=str)))
            self._attempt(sys.stdout.flush)

    def say(self, text: str, style: str = "") -> None:
        """Write a line for people."""
        if self.is_text:
            from rich.text import Text  # the same

            self.show(Text(printable(text), style))

    def show(self, renderable: RenderableType) -> None:
        """Write a table, or the like, for people; what is in it has to be printable."""
        if self.is_text:
            self._attempt(lambda: self.console.print(renderable))

    def data(self, text: str) -> None:
        """Write JSON that the command is for, whoever reads it."""
        if not self.quiet:
            self._write(_escaped(text))

    def _write(self, text: str) -> None:
        self._attempt(lambda: sys.stdout.write(f"{text}\n"))

    def _attempt(self, write: Callable[[], object]) -> None:
        """Write, unless the reader has left. Raises OSError: it cannot be written."""
        if not self.has_reader:
            return
        try:
            write()
        except BrokenPipeError:
            self.has_reader = False
            discard(sys.stdout)
        except OSError as error:
            raise OSError(error.errno, f"cannot write the output: {error.strerror}") from None


class ErrorLines(logging.Handler):
    """Writes what the library logs as errors are written."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        write_error(translate(record.getMessage()))


class Warnings(logging.Handler):
    """Tells of what the library warns of, but for what the outcome of a message tells."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of a record."""
        if record.levelno == logging.WARNING and "retrying" not in record.msg:
            self._tell(translate(record.getMessage()))


def write_error(text: str) -> None:
    """Write an error as one line on stderr."""
    write_to_stderr(f"segment-librato: {printable(text)}")


def write_to_stderr(text: str) -> None:
    """Write a text, and a line break, on stderr, unless that is impossible."""
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except OSError:  # a full disk, say: the exit status tells all the same
        discard(sys.stderr)


def discard(stream: IO[str]) -> None:
    """Point a stream at nothing: the interpreter flushes it at exit, and would complain."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def prepare_streams() -> None:
    """Open what a shell has closed with `>&-`, and have escapes for what an encoding lacks.

    Else another file would get in the place of a closed one.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  it stays open
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _escaped(text: str) -> str:
    """Return JSON with escapes for what is not printable, or not in the encoding of stdout.

    Text that is not printable is in strings only, or it is a line break.
    """
    has_all = (sys.stdout.encoding or "").lower().startswith("utf")
    if text.isprintable() and (has_all or text.isascii()):
        return text
    return "".join(
        c if c == "\n" or (c.isprintable() and (has_all or c.isascii())) else json.dumps(c)[1:-1]
        for c in text
    )
