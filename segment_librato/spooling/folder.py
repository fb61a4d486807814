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
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["NEW_SUFFIX", "QUARANTINE", "RUN_SUFFIX", "find_spool", "open_spool", "sync_folder"]

RUN_SUFFIX = ".run"
NEW_SUFFIX = ".new"  # of a run that is being made
QUARANTINE = "quarantine"

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def open_spool(path: Path, write_key: str, url: str) -> Path:
    """Make the folder for what goes to this write key and URL, if need be; return it.

    The key is not in its name, only a hash.

    Raises:
        ConfigError: a folder cannot be made, or is not safe; the text names `spool`.
    """
    folder = path / _hash(write_key, url)
    for each in (path, folder):
        try:
            _make_private(each)
            found = each.lstat() if each is folder else each.stat()
        except (OSError, ValueError) as error:  # a NUL in the path
            raise _cannot_be_used("spool", each, error) from None
        _check("spool", each, found)
    return folder


def find_spool(path: Path, write_key: str, url: str) -> Path | None:
    """Return the folder that `open_spool` made; None if there is none.

    Raises:
        ConfigError: it cannot be read, or is not safe; the text names `path`.
    """
    folder = path / _hash(write_key, url)
    try:
        found = ((path, path.stat()), (folder, folder.lstat()))
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise ConfigError(f"path: expected a folder, {path} is something else") from None
    except OSError as error:
        raise _cannot_be_used("path", folder, error) from None
    for each, its_stat in found:
        _check("path", each, its_stat)
    return folder


def sync_folder(folder: Path, fsync: Callable[[int], object]) -> None:
    """Have the disk hold the names in a folder, where the system can do that.

    Args:
        folder: which one.
        fsync: `os.fsync`, or what does the same.

    Raises:
        OSError: it could not be done.
    """
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_private(folder: Path) -> None:
    """Make a folder, and those it is in, for this user only, whatever the umask is.

    Raises:
        OSError: it cannot be made, or is something else.
    """
    missing = [each for each in folder.parents if not each.exists()]
    for each in [*reversed(missing), folder]:
        each.mkdir(mode=0o700, exist_ok=True)


def _hash(write_key: str, url: str) -> str:
    return sha256(f"{write_key}\0{url}".encode()).hexdigest()[:32]


def _cannot_be_used(name: str, folder: Path, error: Exception) -> ConfigError:
    problem = getattr(error, "strerror", None) or type(error).__name__
    return ConfigError(f"{name}: cannot make or read the folder {folder}: {problem}")


def _check(name: str, folder: Path, found: os.stat_result) -> None:
    """Reject a folder in which somebody else could read or plant messages."""
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigError(f"{name}: expected a folder, {folder} is something else")
    if os.name == "nt":  # its permissions are not in `st_mode`
        return
    if found.st_uid != os.geteuid():
        raise ConfigError(f"{name}: {folder} belongs to another user, with the id {found.st_uid}")
    if found.st_mode & _OTHERS_MAY_WRITE:
        mode = stat.S_IMODE(found.st_mode)
        raise ConfigError(f"{name}: other users can write to {folder}; its mode is {mode:04o}")
