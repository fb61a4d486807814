"""The file of rejected rows: a line of JSON for each, on disk before the state knows of it.

Must not know why a row was rejected.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from segment_librato.bulk.state_file import AGAIN

if TYPE_CHECKING:
    from collections.abc import Generator

    from typing_extensions import Self

__all__ = ["RejectsFile"]


class RejectsFile:
    """Lines of rejected rows. For one thread at a time.

    Attributes:
        size: its bytes.
    """

    def __init__(self, path: str, kept: int) -> None:
        """Open a file.

        Args:
            path: where it is, or is to be.
            kept: so many bytes stay, if it is there: what comes after them was not settled, and
                will come again.

        Raises:
            OSError: it cannot be written.
        """
        self._path = path
        place = Path(path)
        with self._naming_it():
            self._file: IO[bytes] = place.open("r+b" if place.exists() else "w+b")
            self.size: int = min(kept, self._file.seek(0, os.SEEK_END))
            self._file.truncate(self.size)
            self._file.seek(self.size)

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file. Raises OSError: what was written last is not in it."""
        with self._naming_it():
            self._file.close()

    def write(self, lines: list[bytes]) -> None:
        """Write lines, on disk before this returns. Raises OSError: they cannot be written."""
        with self._naming_it():
            self.size += self._file.write(b"".join(lines))
            self._file.flush()
            os.fsync(self._file.fileno())

    @contextmanager
    def _naming_it(self) -> Generator[None, None, None]:
        """Have errors tell which file it is, and what to do."""
        try:
            yield
        except OSError as error:
            problem = f"rejected rows cannot be written: {error.strerror}; {AGAIN}"
            raise OSError(error.errno, problem, self._path) from None
