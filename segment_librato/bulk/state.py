"""What an import of files has settled so far, in an SQLite file: a run goes on where one ended.

Of each file it has the ranges that are settled, none of which touches another; of the import how
many rows had which outcome, and how long the file of rejects was then. Each change is one
transaction, on disk before the next one begins. Must not know rows, or how a file is read.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from segment_librato.bulk.settlement import Range
from segment_librato.bulk.state_file import AGAIN, StateError, check_state, wrong_state

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from typing_extensions import Self

    from segment_librato.bulk.settlement import Settlement

__all__ = ["State"]

VERSION = "1"
SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE files (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL, fingerprint TEXT NOT NULL,
    is_done INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE ranges (
    file INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    number INTEGER NOT NULL, rows INTEGER NOT NULL, PRIMARY KEY (file, first)
) WITHOUT ROWID;
CREATE TABLE outcomes (reason TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
"""
SOMETHING = "SELECT 1 FROM ranges UNION SELECT 1 FROM files WHERE is_done"  # an empty one, say
SECONDS = 1.0  # another import may look at it meanwhile
DELIVERED = ""  # stands among the reasons
IN_IDS = {"write key or host", "--name", "--type", "--event", "--key"}
SAME_IDS = (
    "; ids may stay the same, and Segment drops those that it has had within a day: a new --name"
    " makes new ones"
)


class State:
    """The state of an import. For one thread at a time, and one process.

    Attributes:
        path: its file.
        counts_rows: whether equal rows have to be counted to have the same ids again.
        rejects_bytes: how long the file of rejects was when the last run ended.
    """

    def __init__(self, path: Path, identity: Mapping[str, str]) -> None:
        """Open a state, or make one.

        Args:
            path: its file.
            identity: what has to be the same in all runs, by the name that people know it by.

        Raises:
            StateError: it belongs to another import, another process has it, or it is none.
            OSError: there can be no such file.
        """
        check_state(path)
        self.path = path
        if not path.exists():
            path.touch()  # SQLite would not say why it cannot
        self._database = sqlite3.connect(
            path, timeout=SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            self._open(identity)
            self.counts_rows: bool = self._value("counts rows") == "1"
            self.rejects_bytes: int = int(self._value("rejects bytes"))
            self._ranges = self._read_ranges()
        except sqlite3.Error as error:
            self.close()
            raise wrong_state(path, error) from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    @property
    def delivered(self) -> int:
        """How many rows were delivered in all runs."""
        return self._outcomes().get(DELIVERED, 0)

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows were rejected in all runs, by reason."""
        return {reason: count for reason, count in self._outcomes().items() if reason != DELIVERED}

    def _outcomes(self) -> dict[str, int]:
        with self._working():
            return dict(self._database.execute("SELECT reason, count FROM outcomes"))

    def add_files(self, files: Sequence[tuple[str, str]]) -> list[int]:
        """Return the ids of files, each a path and a fingerprint; one may have another path now.

        Ids are in the order in which the files came to be known.

        Raises:
            StateError: the file of a path is another one now, or is missing and counts.
        """
        with self._changing():
            return self._add_files(files)

    def _add_files(self, files: Sequence[tuple[str, str]]) -> list[int]:
        query = "SELECT path, fingerprint, id FROM files"
        known = {
            path: (fingerprint, file) for path, fingerprint, file in self._database.execute(query)
        }
        for path, fingerprint in files:
            found, file = known.get(path, (fingerprint, 0))
            if found != fingerprint and not self.ranges(file):
                del known[path]  # nothing of it is settled: it was empty
            elif found != fingerprint:
                text = f"{path} has changed since its import began: if rows were added, import them"
                raise StateError(f"{text} from a file of their own; --restart sends all again")
        paths = {path for path, _ in files}
        moved = {found: file for path, (found, file) in known.items() if path not in paths}
        ids: list[int] = []
        for path, fingerprint in files:
            file = known[path][1] if path in known else moved.pop(fingerprint, None)
            ids.append(self._put_file(path, fingerprint, file))
        gone = [path for path, (_, file) in known.items() if file not in ids and self.ranges(file)]
        if gone and self.counts_rows:
            text = f"{gone[0]} is missing: ids of equal rows depend on it. Name it as well,"
            raise StateError(f"{text} or begin another import with --state FILE")
        return ids

    def _put_file(self, path: str, fingerprint: str, file: int | None) -> int:
        """Return the id of a file that has it, or gets one, and note its path."""
        query = "INSERT OR REPLACE INTO files VALUES (?, ?, ?, coalesce(?, 0))"
        is_done = file and self.is_done(file)
        new = self._database.execute(query, (file, path, fingerprint, is_done)).lastrowid or 0
        self._ranges.setdefault(new, [])
        return new

    def ranges(self, file: int) -> list[Range]:
        """Return what is settled of a file, in order; no two of them touch."""
        return self._ranges.get(file, [])

    def is_done(self, file: int) -> bool:
        """Return whether all of a file is settled."""
        with self._working():
            rows = self._database.execute("SELECT is_done FROM files WHERE id = ?", (file,))
            return any(done for (done,) in rows)

    def finish(self, *files: int) -> None:
        """Note that all of some files is settled."""
        with self._changing():
            query = "UPDATE files SET is_done = 1 WHERE id = ?"
            self._database.executemany(query, [(file,) for file in files])

    def has_rejects(self, path: str) -> bool:
        """Return whether the last run wrote its rejects to a file."""
        with self._working():
            return self._value("rejects") == path

    def keep_rejects(self, path: str) -> int:
        """Return how much of a file of rejects is settled: nothing, if it was another one."""
        with self._changing():
            if self._value("rejects") != path:
                self._set("rejects", path)
                self._set("rejects bytes", "0")
                self.rejects_bytes = 0
        return self.rejects_bytes

    def settle(self, settlement: Settlement, rejects_bytes: int) -> None:
        """Note what is settled, on disk before this returns.

        Args:
            settlement: what.
            rejects_bytes: how long the file of rejects is now.

        Raises:
            OSError: it cannot be written.
        """
        with self._changing():
            for file, new in settlement.ranges:
                self._add_range(file, new)
            counts = {DELIVERED: settlement.delivered, **settlement.reasons}
            self._database.execute("DELETE FROM outcomes")  # one may have another text now
            query = "INSERT INTO outcomes VALUES (?, ?)"
            self._database.executemany(query, counts.items())
            self._set("rejects bytes", str(rejects_bytes))
            self._set("counts rows", str(int(settlement.counts_rows)))

    @contextmanager
    def _changing(self) -> Generator[None, None, None]:
        """Make one transaction of what is done within, on disk before this returns."""
        with self._working(), self._database:
            self._database.execute("BEGIN")
            yield

    @contextmanager
    def _working(self) -> Generator[None, None, None]:
        """Raise OSError for what SQLite raises: the disk is full, say."""
        try:
            yield
        except sqlite3.Error as error:
            text = f"the state cannot be read or written: {error}; {AGAIN}"
            raise OSError(0, text, str(self.path)) from None

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _add_range(self, file: int, new: Range) -> None:
        """Add a range, as one with those that it touches."""
        near = [one for one in self._ranges[file] if one.first == new.last or one.last == new.first]
        query = "DELETE FROM ranges WHERE file = ? AND first = ?"
        self._database.executemany(query, [(file, one.first) for one in near])
        firsts, lasts, numbers, rows = zip(new, *near, strict=True)
        merged = Range(min(firsts), max(lasts), max(numbers), sum(rows))
        self._database.execute("INSERT INTO ranges VALUES (?, ?, ?, ?, ?)", (file, *merged))
        others = [one for one in self._ranges[file] if one not in near]
        self._ranges[file] = sorted([*others, merged])

    def _open(self, identity: Mapping[str, str]) -> None:
        execute = self._database.execute
        execute("PRAGMA locking_mode = EXCLUSIVE")
        execute("PRAGMA journal_mode = WAL")  # one write to wait for, instead of three
        execute("PRAGMA synchronous = FULL")
        with self._database:
            execute("BEGIN IMMEDIATE")  # from here on, nobody else can have it
            if not execute("SELECT 1 FROM sqlite_master").fetchone():
                for statement in SCHEMA.split(";"):
                    execute(statement)
                self._set("version", VERSION)
        if self._value("version") != VERSION:
            raise StateError(
                f"{self.path} was written by another version; use another --state FILE"
            )
        if not execute(SOMETHING).fetchone():
            self._begin_anew(identity)
        different = [name for name in identity if self._value(name) != identity[name]]
        if different:
            ids = "" if IN_IDS.intersection(different) else SAME_IDS
            raise StateError(
                f"{self.path} belongs to an import with another {', another '.join(different)}:"
                f" use the same, another --state FILE, or --restart to send everything again{ids}"
            )

    def _begin_anew(self, identity: Mapping[str, str]) -> None:
        """Take another identity, and other files, as nothing is settled."""
        with self._database:
            self._database.execute("BEGIN")
            self._database.execute("DELETE FROM files")
            for name, value in identity.items():
                self._set(name, value)

    def _read_ranges(self) -> dict[int, list[Range]]:
        found: dict[int, list[Range]] = {}
        query = "SELECT file, first, last, number, rows FROM ranges ORDER BY file, first"
        for file, *values in self._database.execute(query):
            found.setdefault(file, []).append(Range(*values))
        return found

    def _value(self, name: str) -> str:
        query = "SELECT value FROM about WHERE name = ?"
        row = self._database.execute(query, (name,)).fetchone()
        return row[0] if row else "0"

    def _set(self, name: str, value: str) -> None:
        self._database.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))
