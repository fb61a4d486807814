"""`Journal`: what the page shows, in SQLite: events, requests, measurements.

Owns the database, in memory or in a file, and how much of each is kept. Must not know where
entries come from, or how they are shown.

All methods may be called from any thread: one connection, one lock. What belongs together is asked
with the lock held.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from segment_librato.devserver.page.filters import contains
from segment_librato.devserver.page.schema import APPLICATION_ID, SCHEMA, VERSION

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence
    from pathlib import Path

    from segment_librato.devserver.http.exchange import JsonObject
    from segment_librato.devserver.page.outlines import Event, Measured
    from segment_librato.devserver.page.recording import RequestEntry

TABLES = ("events", "requests", "measurements")
SIZE = "SELECT coalesce(sum(size), 0) FROM events"
PURGE_DISPLAYS = "DELETE FROM displays WHERE rowid <= (SELECT max(rowid) FROM displays) - ?"
MAX_DISPLAYS = 10_000
SLACK = 20  # of so many that are kept, one more may stay until they are purged together

__all__ = ["Journal", "JournalError", "Limits", "State"]


class Limits(NamedTuple):
    """How much is kept: the newest of each, and a little more, as not every entry costs a purge.

    Attributes:
        events: the number of events.
        requests: the number of requests.
        measurements: the number of measurements.
        bytes: the size of the events' messages.
    """

    events: int = 100_000
    requests: int = 10_000
    measurements: int = 200_000
    bytes: int = 1 << 30


class State(NamedTuple):
    """What is newest in a journal.

    Attributes:
        events: the number of events.
        latest: the id of the newest event.
        requests: the id of the newest request.
        measurements: the id of the newest measurement.
        finished: how often a request turned out to have ended.
        cleared: how often everything was cleared.
    """

    events: int
    latest: int
    requests: int
    measurements: int
    finished: int
    cleared: int

    @property
    def oldest(self) -> int:
        """The id of the oldest event: ids have no gaps."""
        return self.latest - self.events + 1


class JournalError(ValueError):
    """The journal cannot be used; the text says why."""


class Journal:
    """What was received, until it is cleared or gives way to newer entries."""

    def __init__(self, path: Path | None = None, limits: Limits | None = None) -> None:
        """Open the journal.

        Args:
            path: a file, made if there is none; None: memory.
            limits: how much is kept.

        Raises:
            JournalError: The file is no journal, or another process uses it.
        """
        self._limits = limits or Limits()
        self.lock: threading.RLock = threading.RLock()
        self._database = _open(path)
        self._finished = self._cleared = 0
        try:
            self._read_state()
        except JournalError as error:  # the file is damaged
            self._database.close()
            raise JournalError(f"{path}: {error}") from None

    def close(self) -> None:
        """Close the database; nothing can be read any more."""
        with self.lock:
            self._database.close()

    @property
    def state(self) -> State:
        """What is newest; costs nothing."""
        with self.lock:
            return State(
                events=self._kept["events"],
                latest=self._latest["events"],
                requests=self._latest["requests"],
                measurements=self._latest["measurements"],
                finished=self._finished,
                cleared=self._cleared,
            )

    @property
    def kept_requests(self) -> int:
        """The number of requests."""
        with self.lock:
            return self._kept["requests"]

    def add(
        self,
        request: RequestEntry | None,
        events: Sequence[Event],
        measurements: Sequence[Measured],
    ) -> tuple[int | None, list[int]]:
        """Keep entries, and return the ids of the request and of its events."""
        with self._writing():
            number = self._insert_request(request) if request else None
            first = self._latest["events"] + 1
            ids = list(range(first, first + len(events)))
            rows = zip(ids, events, strict=True)
            self._insert("events", [(id_, *event[:-1], number) for id_, event in rows])
            rows = zip(ids, events, strict=True)
            self._database.executemany(
                "INSERT INTO payloads VALUES (?, ?)",
                [(id_, event.message) for id_, event in rows],
            )
            first = self._latest["measurements"] + 1
            self._insert(
                "measurements", [(first + at, *one) for at, one in enumerate(measurements)]
            )
            self._bytes += sum(event.size for event in events)
            self._purge()
            return number, ids

    def finish(self, request: int, duration: float) -> None:
        """Add how long a request took, in seconds."""
        with self._writing():
            self._finished += 1
            self._database.execute(
                "UPDATE requests SET duration = ? WHERE id = ?", (duration, request)
            )

    def clear(self) -> int:
        """Forget everything, and return the number of events there were."""
        with self._writing():
            cleared = self._kept["events"]
            for table in ("events", "payloads", "requests", "measurements", "displays"):
                self._database.execute(f"DELETE FROM {table}")  # noqa: S608  a table of ours
            self._cleared += 1
            self._read_state()
            return cleared

    def put_displays(self, displays: Mapping[str, JsonObject]) -> None:
        """Keep the display options of gauges; the `MAX_DISPLAYS` that came last stay."""
        rows = [(name, json.dumps(display)) for name, display in displays.items()]
        with self._writing():
            self._database.executemany("REPLACE INTO displays VALUES (?, ?)", rows)
            self._database.execute(PURGE_DISPLAYS, (MAX_DISPLAYS,))

    def select(self, query: str, values: Iterable[object] = ()) -> list[sqlite3.Row]:
        """Return the rows of a query that changes nothing."""
        with self.lock:
            try:
                return self._database.execute(query, tuple(values)).fetchall()
            except sqlite3.Error as error:
                raise JournalError(f"the journal cannot be read: {error}") from None

    @contextmanager
    def _writing(self) -> Generator[None, None, None]:
        """Hold the lock, and take all or nothing.

        Raises:
            JournalError: It cannot be written, as when the disk is full.
        """
        with self.lock:
            try:
                with self._database:
                    yield
            except BaseException as error:
                self._read_state()  # the attributes were ahead of what is taken back
                if isinstance(error, sqlite3.Error):
                    raise JournalError(f"the journal cannot be written: {error}") from None
                raise

    def _insert_request(self, request: RequestEntry) -> int:
        number = self._latest["requests"] + 1
        self._insert("requests", [(number, *request, None)])
        return number

    def _insert(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            places = ", ".join("?" * len(rows[0]))
            self._database.executemany(f"INSERT INTO {table} VALUES ({places})", rows)  # noqa: S608  a table of ours
            self._latest[table] = rows[-1][0]
            self._kept[table] += len(rows)

    def _purge(self) -> None:
        """Forget the oldest of what is too much."""
        for table in TABLES:
            limit: int = getattr(self._limits, table)
            if self._kept[table] > limit + limit // SLACK:
                self._forget(table, self._kept[table] - limit)
        while self._bytes > self._limits.bytes and self._kept["events"] > 1:
            self._forget("events", self._kept["events"] // SLACK + 1)

    def _forget(self, table: str, count: int) -> None:
        """Forget the oldest, up to this number; ids have no gaps, so their distance counts."""
        self._kept[table] -= count
        oldest = self._latest[table] - self._kept[table] + 1
        if table == "events":
            self._bytes -= self.select(f"{SIZE} WHERE id < ?", (oldest,))[0][0]
            self._database.execute("DELETE FROM payloads WHERE id < ?", (oldest,))
        self._database.execute(f"DELETE FROM {table} WHERE id < ?", (oldest,))  # noqa: S608  ours

    def _read_state(self) -> None:
        """Read what is kept in the attributes as well."""
        self._kept: dict[str, int] = {}
        self._latest: dict[str, int] = {}
        latest: dict[str, int] = dict(
            map(tuple, self.select("SELECT name, seq FROM sqlite_sequence"))
        )
        self._bytes: int = self.select(SIZE)[0][0]
        for table in TABLES:
            self._kept[table] = self.select(f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608  ours
            self._latest[table] = latest.get(table, 0)


def _open(path: Path | None) -> sqlite3.Connection:
    """Open or make a database.

    Raises:
        JournalError: It is another kind of file, or in use.
    """
    if path is not None:
        try:  # what applications track is nobody else's business
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise JournalError(f"{path}: {error.strerror}") from None
    name = path.absolute() if path else ":memory:"  # a file may have that name, too
    database = sqlite3.connect(name, timeout=1, check_same_thread=False)
    try:
        _prepare(database, path)
    except BaseException as error:
        database.close()
        if isinstance(error, sqlite3.Error):
            raise JournalError(f"{path}: {_explain(error)}") from None
        raise
    return database


def _explain(error: sqlite3.Error) -> str:
    """Say why a file cannot be opened; SQLite's codes are known from Python 3.11 on only."""
    if "locked" in str(error):
        return "another debugger uses it"
    is_other_kind = not isinstance(error, sqlite3.OperationalError)
    return "not a journal of the debugger" if is_other_kind else str(error)


def _prepare(database: sqlite3.Connection, path: Path | None) -> None:
    is_new = not database.execute("PRAGMA schema_version").fetchone()[0]
    kind = tuple(
        database.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version")
    )
    if not is_new and kind[0] != APPLICATION_ID:
        raise sqlite3.DatabaseError("another kind of database")
    if not is_new and kind[1] != VERSION:
        raise JournalError(
            f"{path}: written by another version of the debugger: choose another file"
        )
    database.row_factory = sqlite3.Row
    database.create_function("contains", 2, contains, deterministic=True)
    # A crash of the machine may cost the last events, but not the file.
    for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = NORMAL"):
        database.execute(f"PRAGMA {pragma}").fetchall()
    if is_new:
        marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
        database.executescript(f"BEGIN; {SCHEMA} {marks} COMMIT;")
