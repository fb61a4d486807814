"""The folders of the spool: where they are, and that nobody else can read or change them.

Owns names and permissions. Must not know what is in the files.
"""

from __future__ import annotations

import errno
import os
import stat
from hashlib import sha256
from typing import TYPE_CHECKING

from segment_librato.errors import ConfigError
from segment_librato.foreign.interruption import being_handled, let_through

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = [
    "NEW_SUFFIX",
    "QUARANTINE",
    "RUN_SUFFIX",
    "check_owner",
    "check_spool",
    "find_spool",
    "make_folder",
    "open_spool",
    "sync_folder",
]

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
            let_through(error, error.__context__)
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
    except OSError as error:
        let_through(error, error.__context__)
        if isinstance(error, FileNotFoundError):
            return None
        if isinstance(error, NotADirectoryError):
            raise ConfigError(f"path: expected a folder, {path} is something else") from None
        raise _cannot_be_used("path", folder, error) from None
    for each, its_stat in found:
        _check("path", each, its_stat)
    return folder


def check_spool(folder: Path) -> None:
    """Look again whether a folder that `open_spool` returned is safe: it may be another one now.

    Raises:
        OSError: it is not, or it is gone.
    """
    for each, found in ((folder.parent, folder.parent.stat()), (folder, folder.lstat())):
        if problem := _problem(each, found):
            raise PermissionError(errno.EPERM, problem)


def check_owner(run: Path) -> None:
    """Check that another user has not planted a run.

    Raises:
        OSError: it belongs to somebody else, or is gone.
    """
    owner = run.lstat().st_uid
    if os.name != "nt" and owner != os.geteuid():
        raise PermissionError(errno.EPERM, f"it belongs to another user, with the id {owner}")


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


def make_folder(folder: Path) -> None:
    """Make a folder for this user only, unless it is there. Raises OSError."""
    handled = being_handled()
    try:
        folder.mkdir(mode=0o700)  # `exist_ok` would suppress what a signal handler raises
    except FileExistsError as error:
        let_through(error, handled)
        if not folder.is_dir():
            raise


def _make_private(folder: Path) -> None:
    """Make a folder, and those it is in, for this user only, whatever the umask is.

    Raises:
        OSError: it cannot be made, or is something else.
    """
    missing = [each for each in folder.parents if not each.exists()]
    for each in [*reversed(missing), folder]:
        make_folder(each)


def _hash(write_key: str, url: str) -> str:
    return sha256(f"{write_key}\0{url}".encode()).hexdigest()[:32]


def _cannot_be_used(name: str, folder: Path, error: Exception) -> ConfigError:
    problem = getattr(error, "strerror", None) or type(error).__name__
    return ConfigError(f"{name}: cannot make or read the folder {folder}: {problem}")


def _check(name: str, folder: Path, found: os.stat_result) -> None:
    """Reject a folder in which somebody else could read or plant messages."""
    if problem := _problem(folder, found):
        raise ConfigError(f"{name}: {problem}")


def _problem(folder: Path, found: os.stat_result) -> str | None:
    """Return why somebody else could read or plant messages in a folder; None if nobody can."""
    if not stat.S_ISDIR(found.st_mode):
        return f"expected a folder, {folder} is something else"
    if os.name == "nt":  # its permissions are not in `st_mode`
        return None
    if found.st_uid != os.geteuid():
        return f"{folder} belongs to another user, with the id {found.st_uid}"
    if found.st_mode & _OTHERS_MAY_WRITE:
        return f"other users can write to {folder}; its mode is {stat.S_IMODE(found.st_mode):04o}"
    return None
