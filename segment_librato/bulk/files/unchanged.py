"""A file that must stay as it was when an import looked at it: no longer, no shorter.

Must not know what is in a file, or how one is opened.
"""

from __future__ import annotations

import io
import os
from typing import IO, Any

__all__ = ["GrownError", "Unchanged"]

SINCE = "since import looked at it: if something still writes to it, import a copy"
SHORTER = "while it was read: restore the whole file, and run the same command again"


class GrownError(OSError):
    """A file got longer while it was read."""


class Unchanged(io.RawIOBase):
    """The bytes of a file, up to where it ended at first; what comes later is not read.

    Where it ends, an `OSError` says whether it has another size by then: a line that somebody was
    about to write is never taken for a whole one.
    """

    def __init__(self, stream: IO[bytes], size: int) -> None:
        """Take a stream that stands at its beginning, and the size that it had.

        Raises:
            OSError: it has another one.
        """
        self._stream = stream
        self._size = size
        if (now := self._find_size()) != size:
            raise OSError(0, f"it went from {size:,} to {now:,} bytes {SINCE}")

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that it can seek: its end was found so."""
        return True

    def tell(self) -> int:
        """Return how many bytes were read; any thread may ask."""
        return self._stream.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position; the end is the one that it had at first."""
        if whence == os.SEEK_END:
            offset, whence = self._size + offset, os.SEEK_SET
        return self._stream.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  any buffer
        """Read on.

        Raises:
            GrownError: it has got longer.
            OSError: it has got shorter, or cannot be read.
        """
        left = self._size - self._stream.tell()
        data = self._stream.read(min(len(buffer), max(left, 0)))
        buffer[: len(data)] = data
        if not data:
            self._check_end()
        return len(data)

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()
        super().close()

    def _find_size(self) -> int:
        at = self._stream.tell()
        size = self._stream.seek(0, os.SEEK_END)
        self._stream.seek(at)
        return size

    def _check_end(self) -> None:
        size, now = self._size, self._find_size()
        if now > size:
            raise GrownError(0, f"it grew from {size:,} to {now:,} bytes while it was read")
        if now < size:
            raise OSError(0, f"it shrank from {size:,} to {now:,} bytes {SHORTER}")
