"""The folders of the spool: where they are, and that nobody else can read or change them.

Owns names and permissions. Must not know what is in the files.
"""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from typing import TYPE_CHECKING

from segment_librato.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["NEW_SUFFIX", "QUARANTINE", "RUN_SUFFIX", "open_spool", "sync_folder"]

RUN_SUFFIX = ".run"
NEW_SUFFIX = ".new"  # of a run that is being made
QUARANTINE = "quarantine"

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def open_spool(path: Path, write_key: str, host: str) -> Path:
    """Make the folder for what goes to this write key and host, if need be; return it.

    The key is not in its name, only a hash.

    Raises:
        ConfigError: a folder cannot be made, or is not safe; the text names `spool`.
    """
    digest = sha256(f"{write_key}\0{host}".encode()).hexdigest()[:32]
    folder = path / digest
    for each in (path, folder):
        try:
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = each.lstat() if each is folder else each.stat()
        except (OSError, ValueError) as error:  # a NUL in the path
            problem = getattr(error, "strerror", None) or type(error).__name__
            raise ConfigError(f"spool: cannot make or read the folder {each}: {problem}") from None
        _check(each, found)
    return folder


def sync_folder(folder: Path) -> None:
    """Have the disk hold the names in a folder, where the system can do that.

    Raises:
        OSError: it could not be done.
    """
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check(folder: Path, found: os.stat_result) -> None:
    """Reject a folder in which somebody else could read or plant messages."""
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigError(f"spool: expected a folder, {folder} is something else")
    if os.name == "nt":  # its permissions are not in `st_mode`
        return
    if found.st_uid != os.geteuid():
        raise ConfigError(f"spool: {folder} belongs to another user, with the id {found.st_uid}")
    if found.st_mode & _OTHERS_MAY_WRITE:
        mode = stat.S_IMODE(found.st_mode)
        raise ConfigError(f"spool: other users can write to {folder}; its mode is {mode:04o}")
