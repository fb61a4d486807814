"""The terminal: what may be written to it, and in which characters and colors.

Owns the writing of lines. Must not know what they say.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

__all__ = ["Terminal", "finish", "shorten"]

STEP = 0.05  # seconds
MAX_UNREAD_STEPS = 60
MAX_FINISH_STEPS = 600
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

    If nobody reads what is written, or the call takes too long by far, the process ends instead.
    So it does at another Ctrl-C.
    """
    last = threading.Thread(target=call, daemon=True)
    with suppress(KeyboardInterrupt):
        last.start()
        _wait_for(last)
    if last.is_alive():
        os._exit(status)  # an orderly exit would wait for the reader, too


def _wait_for(last: threading.Thread) -> None:
    """Wait until a thread has ended, or there is no hope that it will."""
    unread = 0
    # Steps count, not seconds: a machine that is loaded, or stands still, delays this thread, too.
    for _ in range(MAX_FINISH_STEPS):
        last.join(STEP)
        unread = 0 if _has_room() else unread + 1
        if not last.is_alive() or unread == MAX_UNREAD_STEPS:
            return


def _has_room() -> bool:
    """Return whether a write would not wait for a reader; False where that cannot be told."""
    try:
        streams = [sys.stdout.fileno(), sys.stderr.fileno()]
        return len(select.select([], streams, [], 0)[1]) == len(streams)
    except (AttributeError, OSError, ValueError):  # Windows selects sockets only
        return False


def shorten(text: str, width: int) -> str:
    """Return `text`, or its beginning with three dots, in at most `width` characters."""
    return text if len(text) <= width else f"{text[: width - 3]}..."
