"""The terminal: what may be written to it, and in which characters and colors.

Owns the writing of lines. Must not know what they say.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

__all__ = ["Terminal", "finish", "shorten"]

MAX_FINISH_SECONDS = 3.0
PIECES = 60
CODES = {"bold": 1, "dim": 2, "red": 31, "green": 32}


class Terminal:
    """Writes lines to a stream, whatever that can encode. Thread-safe.

    Attributes:
        has_colors: whether the stream is a terminal whose user has not switched colors off.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._encoding = getattr(stream, "encoding", None) or "ascii"
        self.has_colors: bool = (
            stream.isatty()
            and os.name == "posix"
            and not os.environ.get("NO_COLOR")
            and os.environ.get("TERM") != "dumb"
        )

    def write(self, *lines: str) -> None:
        """Write lines in one piece; characters that the stream lacks become escapes.

        A reader that has left, or a full disk, is no error: nothing is written from then on.
        """
        text = "\n".join([*lines, ""]).encode(self._encoding, "backslashreplace")
        with self._lock:
            try:
                self._stream.write(text.decode(self._encoding))
                self._stream.flush()
            except OSError:
                self._discard_output()

    def paint(self, text: str, color: str) -> str:
        """Return `text` in a color of `CODES`, or as it is where there are none."""
        return f"\x1b[{CODES[color]}m{text}\x1b[0m" if self.has_colors and text else text

    def can_show(self, text: str) -> bool:
        """Return whether the stream has all characters of `text`."""
        try:
            text.encode(self._encoding)
        except UnicodeEncodeError:
            return False
        return True

    def _discard_output(self) -> None:
        """Point the stream at nothing: the interpreter flushes it at exit, and would complain."""
        with suppress(OSError):
            descriptor = self._stream.fileno()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)


def finish(call: Callable[[], object], status: int) -> None:
    """Make the last call of a program, after Ctrl-C.

    If it does not end in time, because nobody reads what is written, the process ends instead. So
    it does at another Ctrl-C.
    """
    last = threading.Thread(target=call, daemon=True)
    with suppress(KeyboardInterrupt):
        last.start()
        # A machine that is loaded, or stands still, delays this thread, too.
        for _ in range(PIECES):
            last.join(MAX_FINISH_SECONDS / PIECES)
    if last.is_alive():
        os._exit(status)  # an orderly exit would wait for the reader, too


def shorten(text: str, width: int) -> str:
    """Return `text`, or its beginning with three dots, in at most `width` characters."""
    return text if len(text) <= width else f"{text[: width - 3]}..."
