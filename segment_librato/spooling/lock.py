"""The lock on a run: held for as long as its process lives, whatever ends it.

The kernel frees it when the last copy of its descriptor is closed, so there are no leases and no
files of process ids that could be out of date. A forked child has such a copy, and closes it.
Network file systems do not promise that any of this works.

Owns the difference between systems. Must not know what is locked.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING

from segment_librato.foreign.interruption import Suppressed, let_through
from segment_librato.process.fork import register_after_fork

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FileLock"]

_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)

MAX_CONTENT = 256


class FileLock:
    """A file that this process holds locked. Made by `make` or `take`."""

    _descriptor = -1  # whatever interrupts `__init__`

    def __init__(self) -> None:
        register_after_fork(self)

    @classmethod
    def make(cls, path: Path, content: bytes = b"") -> FileLock:
        """Make the file, and hold it.

        Args:
            path: of the file.
            content: what to write in it.

        Raises:
            OSError: it cannot be made or written, the file system has no locks, or another process
                was faster to lock or to remove it.
        """
        lock = cls()
        lock._descriptor = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _lock(lock._descriptor)
            if not lock._is_of(path):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            os.write(lock._descriptor, content)
        except OSError:
            lock.release()
            raise
        return lock

    @classmethod
    def take(cls, path: Path) -> FileLock | None:
        """Hold a file that exists; return None if another process holds it, or has removed it.

        Raises:
            OSError: the file is gone, or cannot be opened.
        """
        lock = cls()
        lock._descriptor = os.open(path, _FLAGS)
        try:
            _lock(lock._descriptor)
            if lock._is_of(path):
                return lock
        except OSError as error:
            lock.release()
            let_through(error, error.__context__)
        lock.release()
        return None

    def content(self) -> bytes:
        """Return what was written in it when it was made. Raises OSError."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return os.read(self._descriptor, MAX_CONTENT)

    def __del__(self) -> None:
        """Let go of the file with the last reference to this."""
        self.release()

    def release(self) -> None:
        """Let go of the file."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with Suppressed(OSError):
                os.close(descriptor)

    def reset_after_fork(self) -> None:
        """Close the copy of the parent's descriptor, which keeps the lock."""
        self.release()

    def _is_of(self, path: Path) -> bool:
        """Return whether this is the file of that name: its last holder may have removed it."""
        return os.path.samestat(os.fstat(self._descriptor), path.lstat())


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
