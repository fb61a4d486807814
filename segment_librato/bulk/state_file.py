"""The SQLite file of a state, from outside: whether it is one, and how it is deleted.

Owns the words for a file that cannot be one. Must not know what is in a state.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["AGAIN", "OF_SQLITE", "StateError", "check_state", "delete_state", "wrong_state"]

OF_SQLITE = ("", "-journal", "-shm", "-wal")  # what it puts beside its file
OF_STATE = {"about", "ranges"}  # tables that one has
AGAIN = "free space if the disk is full, and run the same command again"


class StateError(ValueError):
    """A state cannot be used for this import; the text says what to do."""


def check_state(path: Path) -> None:
    """Look at a file that is to become a state, if there is one; it stays as it is.

    Raises:
        StateError: it is none, nor an SQLite file with nothing in it; or somebody has it open.
    """
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(path, timeout=0)) as database:
            names = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    except sqlite3.Error as error:
        raise wrong_state(path, error) from None
    if names and not names >= OF_STATE:
        raise StateError(f"{path} is not the state of an import; use another --state FILE")


def delete_state(path: Path) -> None:
    """Delete the file of a state, if there is one. Raises StateError: see `check_state`."""
    check_state(path)
    for suffix in OF_SQLITE:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def wrong_state(path: Path, error: sqlite3.Error) -> StateError:
    """Return what to raise for what SQLite says about a state when it is opened."""
    text = str(error)
    if "locked" in text:
        return StateError(f"{path} is in use: another import of these files is running")
    if "full" in text:
        return StateError(f"{path} cannot be used ({text}): {AGAIN}")
    if isinstance(error, sqlite3.OperationalError) and "no such" not in text:
        return StateError(f"{path} cannot be used ({text}); use another --state FILE")
    return StateError(f"{path} is not the state of an import ({text}); use another --state FILE")
