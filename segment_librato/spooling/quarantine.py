"""What cannot be read of a file: it is moved out of the way, for somebody to look at.

Owns the folder for that, and that a file which cannot be moved is told of once. Must not know who
reads the rest, or what was in it.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from segment_librato.errors import SpoolCorruptError
from segment_librato.log import log
from segment_librato.spooling.folder import QUARANTINE, make_folder, sync_folder
from segment_librato.spooling.rest import copy_rest, open_private, open_segment

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DAMAGED", "DELETED", "UNREADABLE", "move_all", "move_rest", "warn_once"]

UNREADABLE = "the spool's file %s cannot be read, and stays: %s"
DELETED = "somebody deleted %s before it was read"
DAMAGED = "the spool's file %s is damaged, and stays: %s"

_warned_of: set[Path] = set()


def move_rest(path: Path, offset: int, lost: int = 0) -> SpoolCorruptError:
    """Move what is behind an offset; return what to report.

    A crash in between repeats it, with the same name.

    Args:
        path: of a segment that nobody writes.
        offset: where the part that cannot be read begins.
        lost: how many messages were in it, if that is known.

    Raises:
        OSError: it stays.
    """
    moved = _make_folder(path.parent.parent) / f"{path.parent.name}-{path.stem}-{offset}"
    with open_segment(path, "r+b") as damaged:
        damaged.seek(offset)
        with open(moved, "wb", opener=open_private) as copy:
            size = copy_rest(damaged, copy)
        for folder in (moved.parent, moved.parent.parent):  # else a power loss may cost the copy
            sync_folder(folder, os.fsync)
        damaged.truncate(offset)
    return SpoolCorruptError(str(moved), size, lost)


def move_all(path: Path) -> SpoolCorruptError:
    """Move a segment that the disk cannot read to the end. Raises OSError: it stays."""
    size = path.lstat().st_size
    moved = _make_folder(path.parent.parent) / f"{path.parent.name}-{path.name}"
    path.replace(moved)
    return SpoolCorruptError(str(moved), size)


def warn_once(text: str, path: Path, *reasons: object) -> None:
    """Log a text with a path and reasons; once for each path in the life of the process."""
    if path not in _warned_of:
        _warned_of.add(path)
        log.warning(text, path, *reasons)


def _make_folder(parent: Path) -> Path:
    folder = parent / QUARANTINE
    make_folder(folder)
    if folder.is_symlink():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    return folder
