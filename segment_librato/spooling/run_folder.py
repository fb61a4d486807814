"""The folder that one run writes to: made, locked, known to the disk and removed.

Owns the folder's life, and its lock, by which others see that its process lives. Must not know
what is in it, or who writes that.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from segment_librato.foreign.interruption import Suppressed, let_through
from segment_librato.spooling.age import boot_mark
from segment_librato.spooling.folder import (
    NEW_SUFFIX,
    RUN_SUFFIX,
    check_spool,
    make_folder,
    sync_folder,
)
from segment_librato.spooling.lock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["LOCK", "RunFolder", "remove_if_empty"]

LOCK = "lock"


class RunFolder:
    """The folder of a run, locked."""

    def __init__(self, parent: Path) -> None:
        """Make it under another name first, so that no process takes it for one that was left.

        It fails, and is tried again, if another process removes what is not locked yet, or has
        forked off in the middle of it and makes the same. If the whole spool was removed, that is
        made again, too, unless another user was faster.

        Raises:
            OSError: it cannot be made, or others could read or change what is in it.
        """
        for _ in range(2):
            try:
                self._make(parent)
            except OSError as error:
                let_through(error, error.__context__)
                if isinstance(error, FileNotFoundError):
                    for each in (parent.parent, parent):
                        make_folder(each)
            else:
                return
        self._make(parent)

    def _make(self, parent: Path) -> None:
        check_spool(parent)
        started = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        name = f"{started}-{os.getpid()}-{os.urandom(4).hex()}"
        made = parent / f"{name}{NEW_SUFFIX}"
        made.mkdir(mode=0o700)
        lock = None
        try:
            lock = FileLock.make(made / LOCK, boot_mark())
            path = made.rename(parent / f"{name}{RUN_SUFFIX}")
        except OSError:
            if lock:
                lock.release()  # first: Windows deletes no open file
            remove_if_empty(made)
            raise
        self.path: Path = path
        self.lock: FileLock = lock
        self._is_known_to_disk = False

    def sync(self, fsync: Callable[[int], object]) -> None:
        """Have the disk hold the names in it, and once its own and those of the spool's folders.

        Args:
            fsync: `os.fsync`, or what does the same.

        Raises:
            OSError: it could not be done.
        """
        sync_folder(self.path, fsync)
        if not self._is_known_to_disk:
            for each in [*self.path.parents][:3]:
                with Suppressed(PermissionError):  # the last one is not ours
                    sync_folder(each, fsync)
            self._is_known_to_disk = True

    def remove(self) -> None:
        """Remove it if no segment is in it; let go of it in any case."""
        remove_if_empty(self.path)
        self.lock.release()

    def remove_if_empty(self) -> bool:
        """Remove it and let go of it if no segment is in it; return whether it is gone.

        If another thread makes a segment in it meanwhile, it stays, with a lock. Several threads
        may do this at once.
        """
        held = self.lock
        remove_if_empty(self.path)
        if not self.path.exists():
            held.release()
            return True
        with Suppressed(OSError):  # there is one, or another thread was faster, or the disk fails
            self.lock = FileLock.make(self.path / LOCK, boot_mark())
            held.release()
        return False


def remove_if_empty(path: Path) -> None:
    """Remove the folder of a run whose lock is held, if it has no segment.

    After a crash in between, it has no lock, and any process may remove it.
    """
    with Suppressed(OSError):
        if {each.name for each in path.iterdir()} <= {LOCK}:
            (path / LOCK).unlink(missing_ok=True)
            path.rmdir()
