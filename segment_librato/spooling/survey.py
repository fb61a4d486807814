"""A spool as somebody sees it who looks from outside: runs, files, messages, damage.

Nothing is changed. What cannot be read is told of, and the rest is looked at all the same; what
somebody delivers meanwhile is gone, which is no trouble. Owns what is said of each file. Must not
know how that is shown, or where messages go.
"""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING, NamedTuple

from segment_librato.foreign.interruption import let_through
from segment_librato.spooling.folder import QUARANTINE, RUN_SUFFIX
from segment_librato.spooling.format import (
    CorruptSegmentError,
    SegmentReader,
    UnknownVersionError,
)
from segment_librato.spooling.lock import FileLock
from segment_librato.spooling.merged import MergedReader
from segment_librato.spooling.orphan import SEGMENT_NAME
from segment_librato.spooling.rest import open_segment
from segment_librato.spooling.run_folder import LOCK
from segment_librato.spooling.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    OnProblem = Callable[[Path, str], object]

__all__ = [
    "File",
    "Run",
    "find_folders",
    "find_runs",
    "is_part_of_spool",
    "is_spool",
    "look",
    "quarantined",
    "read_messages",
    "runs_of",
    "survey",
    "tell_of",
]

FOLDER_NAME = re.compile("[0-9a-f]{32}")
RUN = r"[0-9]{8}T[0-9]{6}Z-([0-9]+)-[0-9a-f]{8}"
RUN_NAME = re.compile(RUN + re.escape(RUN_SUFFIX))
QUARANTINED_NAME = re.compile(rf"{RUN_NAME.pattern}-[0-9a-f]{{16}}(-[0-9]+|\.seg)")


class File(NamedTuple):
    """A segment, as it was when somebody looked.

    Attributes:
        path: where it is.
        bytes: its size.
        messages: how many can be read.
        written_at: when it was written last, in seconds since the epoch.
        problem: what keeps the rest of it from being read; empty if nothing does.
    """

    path: Path
    bytes: int
    messages: int
    written_at: float
    problem: str


class Run(NamedTuple):
    """What one client of one process has written.

    Attributes:
        path: its folder.
        process_id: of the process.
        is_live: whether that process lives, or another one is delivering what it left.
        files: its segments, in the order of their names.
    """

    path: Path
    process_id: int
    is_live: bool
    files: list[File]

    @property
    def messages(self) -> int:
        """How many messages can be read."""
        return sum(file.messages for file in self.files)

    @property
    def bytes(self) -> int:
        """The size of its files."""
        return sum(file.bytes for file in self.files)


def is_spool(path: Path) -> bool:
    """Return whether a folder is a spool, or empty. Raises OSError."""
    return bool(find_folders(path)) or not any(path.iterdir())


def is_part_of_spool(path: Path) -> bool:
    """Return whether a folder is of a write key, or a run, in a spool. Raises OSError."""
    name = path.resolve().name
    is_account = FOLDER_NAME.fullmatch(name) and any(runs_of(path))
    return bool(is_account or RUN_NAME.fullmatch(name))


def survey(path: Path, on_problem: OnProblem) -> Iterator[Run]:
    """Yield what there is of each run in a spool, oldest first within each write key and host.

    Args:
        path: the spool.
        on_problem: called with the path of what cannot be read, and the reason.

    Raises:
        OSError: the folder cannot be read.
    """
    for run in find_runs(path, on_problem):
        try:
            is_live = _is_live(run)
            files = [file for each in _segments(run) if (file := look(each))]
        except OSError as error:
            tell_of(on_problem, run, error)
        else:
            match = RUN_NAME.fullmatch(run.name)
            yield Run(run, int(match[1]) if match else 0, is_live, files)


def find_runs(path: Path, on_problem: OnProblem) -> Iterator[Path]:
    """Yield the folder of each run; the arguments are those of `survey`. Raises OSError."""
    for folder in find_folders(path):
        try:
            yield from runs_of(folder)
        except OSError as error:
            tell_of(on_problem, folder, error)


def quarantined(path: Path) -> list[Path]:
    """Return what could not be read and was moved away. Raises OSError: the spool is gone."""
    found: list[Path] = []
    for one in [folder / QUARANTINE for folder in find_folders(path)]:
        try:
            if stat.S_ISDIR(one.lstat().st_mode):  # and no link
                found += sorted(each for each in one.iterdir() if _is_quarantined(each))
        except OSError as error:  # usually because there is none
            let_through(error, error.__context__)
    return found


def read_messages(run: Path, on_problem: OnProblem) -> Iterator[bytes]:
    """Yield the JSON of each message of a run, in the order in which they were accepted.

    Args:
        run: its folder.
        on_problem: called with the path of what cannot be read, and the reason.
    """

    def tell(segment: Segment, error: Exception) -> None:
        tell_of(on_problem, segment.path, error)

    reader: MergedReader[Segment] = MergedReader(lambda _: None, tell)
    try:
        for file in _segments(run):
            reader.add(Segment(file), int(file.stem, 16))
        for _, payload in reader.read():
            yield payload
    except OSError as error:
        tell_of(on_problem, run, error)
    finally:
        reader.close()


def find_folders(path: Path) -> list[Path]:
    """Return the folder of each write key and host."""
    found = [one for one in sorted(path.iterdir()) if FOLDER_NAME.fullmatch(one.name)]
    return [one for one in found if one.is_dir() and not one.is_symlink()]


def runs_of(folder: Path) -> Iterator[Path]:
    """Yield the runs in the folder of a write key and host, oldest first. Raises OSError."""
    for run in sorted(folder.iterdir()):
        if RUN_NAME.fullmatch(run.name) and not run.is_symlink():
            yield run


def _segments(run: Path) -> list[Path]:
    return sorted(file for file in run.iterdir() if SEGMENT_NAME.fullmatch(file.name))


def _is_quarantined(file: Path) -> bool:
    return bool(QUARANTINED_NAME.fullmatch(file.name)) and file.is_file() and not file.is_symlink()


def look(path: Path) -> File | None:
    """Read a segment to its end, or as far as that is possible; None if it is gone."""
    size = messages = 0
    written_at, problem = 0.0, ""
    try:
        its_stat = path.lstat()
        size, written_at = its_stat.st_size, its_stat.st_mtime
        if not stat.S_ISREG(its_stat.st_mode):  # somebody may have put a named pipe there
            return File(path, size, 0, written_at, "not a file")
        with open_segment(path) as file:
            for _ in SegmentReader(file):
                messages += 1
    except (CorruptSegmentError, UnknownVersionError, OSError) as error:
        let_through(error, error.__context__)
        if isinstance(error, FileNotFoundError):
            return None
        problem = _reason_of(error)
    return File(path, size, messages, written_at, problem)


def tell_of(on_problem: OnProblem, path: Path, error: Exception) -> None:
    """Tell of a problem, unless it is that somebody has delivered or deleted a file."""
    let_through(error, error.__context__)
    if not isinstance(error, FileNotFoundError):
        on_problem(path, _reason_of(error))


def _reason_of(error: Exception) -> str:
    if isinstance(error, CorruptSegmentError):
        return f"damaged from byte {error.offset} on"
    return getattr(error, "strerror", None) or str(error)


def _is_live(run: Path) -> bool:
    """Return whether a process holds the lock of a run. Raises OSError."""
    try:
        lock = FileLock.take(run / LOCK)
    except FileNotFoundError:
        return False
    if lock is None:
        return True
    lock.release()
    return False
