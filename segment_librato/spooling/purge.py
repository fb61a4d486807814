"""Delete what dead processes left in a spool, and nothing else.

Owns which names are those of a spool. Must not know who asks for it, or what a message says.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from segment_librato.spooling.folder import NEW_SUFFIX, RUN_SUFFIX
from segment_librato.spooling.orphan import find_orphans
from segment_librato.spooling.rest import COPY_SUFFIX
from segment_librato.spooling.survey import (
    RUN,
    RUN_NAME,
    find_folders,
    look,
    quarantined,
    runs_of,
    tell_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.spooling.survey import File, OnProblem

__all__ = ["Purged", "purge"]

NEW_NAME = re.compile(RUN + re.escape(NEW_SUFFIX))
WRITTEN_NAME = re.compile(rf"[0-9a-f]{{16}}(\.seg|{re.escape(COPY_SUFFIX)})")


class Purged(NamedTuple):
    """What was deleted: files, the messages in them that could be read, and bytes."""

    files: int
    messages: int
    bytes: int


def purge(path: Path, on_problem: OnProblem) -> Purged:
    """Delete what dead processes left, and the quarantine; return what was deleted.

    What a live process has, or delivers, stays, and so does what is not of a spool.

    Args:
        path: the spool.
        on_problem: called with the path of what stays because it cannot be deleted, and why.

    Raises:
        OSError: the folder cannot be read.
    """
    deleted: list[File] = []
    for folder in find_folders(path):
        try:
            if strange := _find_strange(folder):
                on_problem(folder, f"{strange} is not of a spool; nothing here was deleted")
                continue
            for orphan in find_orphans(folder, lambda _: None):
                with suppress(OSError):  # which is told below
                    found = [*orphan.path.iterdir()]
                    files = [each for each in found if WRITTEN_NAME.fullmatch(each.name)]
                    deleted += _delete(files, on_problem)
                orphan.close()
            _tell_of_what_stays(folder, on_problem)
        except OSError as error:
            tell_of(on_problem, folder, error)
    deleted += _delete(quarantined(path), on_problem)
    messages = sum(file.messages for file in deleted)
    return Purged(len(deleted), messages, sum(file.bytes for file in deleted))


def _delete(paths: list[Path], on_problem: OnProblem) -> list[File]:
    """Delete files; return them as they were."""
    deleted: list[File] = []
    for path in paths:
        file = look(path)
        try:
            path.unlink()
        except OSError as error:
            tell_of(on_problem, path, error)
        else:
            deleted += [file] if file else []
    return deleted


def _tell_of_what_stays(folder: Path, on_problem: OnProblem) -> None:
    """Tell of runs of other users. Raises OSError."""
    for run in runs_of(folder):
        try:
            next(run.iterdir(), None)
        except OSError as error:
            tell_of(on_problem, run, error)


def _find_strange(folder: Path) -> str:
    """Return the name of what looks like a run and is not; empty if there is none."""
    for each in sorted(folder.iterdir()):
        is_ours = RUN_NAME.fullmatch(each.name) or NEW_NAME.fullmatch(each.name)
        if each.suffix in {RUN_SUFFIX, NEW_SUFFIX} and not is_ours:
            return each.name
    return ""
