"""Which states of imports know a file, wherever their own files are.

Must not change a state, or know what is settled of a file.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

__all__ = ["knows_any"]

BEGUN = "SELECT path, fingerprint FROM files WHERE is_done OR id IN (SELECT file FROM ranges)"


def knows_any(state: Path, files: Collection[tuple[str, str]]) -> bool:
    """Return whether something of a file is settled in a state; not if the state is in use.

    Args:
        state: the file of a state, or of something else.
        files: a path and a fingerprint each. A file is known by its path; or by its fingerprint, if
            nothing is at the path that it had.
    """
    try:
        with closing(sqlite3.connect(state, timeout=0)) as database:
            known = [*database.execute(BEGUN)]
    except sqlite3.Error:
        return False
    paths, fingerprints = {path for path, _ in files}, {found for _, found in files}
    return any(
        path in paths or (found in fingerprints and not os.path.exists(path))  # noqa: PTH110  text
        for path, found in known
    )
