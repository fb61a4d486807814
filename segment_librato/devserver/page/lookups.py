"""What the page asks the journal: events, names, requests.

Owns the queries, and what they return. Must not know how entries are written, gauges, or HTTP.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator

    from segment_librato.devserver.http.exchange import JsonObject
    from segment_librato.devserver.page.filters import Filter
    from segment_librato.devserver.page.journal import Journal

__all__ = ["Lookups"]

MAX_COUNTS = 32  # filters whose number of matches is remembered
MAX_NAMES = 200
EXPORTED_AT_ONCE = 250  # of 32 KB at most each, for every reader

# All that is put into a query in place of a question mark is ours: columns, tables, conditions.
OUTLINE = "events.id, at, type, event, user, source, verdict, reason, size, gauge, request"
EVENTS = "SELECT {columns} FROM {tables} {where} ORDER BY events.id DESC LIMIT ? OFFSET ?"
COUNT = "SELECT count(*) FROM {tables} {where}"
EVENT = """
    SELECT events.id, at, type, event, user, source, verdict, reason, size, gauge, request, message
    FROM events JOIN payloads USING (id) WHERE events.id = ?
"""
PREVIOUS = """
    SELECT events.id, at, message FROM events JOIN payloads USING (id)
    WHERE type = ? AND event = ? AND events.id < ? ORDER BY events.id DESC LIMIT 1
"""
NAMES = """
    SELECT names.type, names.event, count, at AS last
    FROM (SELECT type, event, count(*) AS count, max(events.id) AS newest FROM {tables} {where}
          GROUP BY type, event ORDER BY count DESC, newest DESC LIMIT ?) AS names
    JOIN events ON events.id = newest ORDER BY count DESC, newest DESC
"""
EXPORT = """
    SELECT events.id, at, verdict, reason, message FROM events JOIN payloads USING (id) {where}
    ORDER BY events.id LIMIT ?
"""
REQUESTS = """
    SELECT id, at, method, path, status, rejection, messages, measurements, bytes, size, gzip,
           retry, duration, scripted
    FROM requests WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT ? OFFSET ?
"""
NO_MORE = 2**62  # no id is as large


class Lookups:
    """Asks a journal. Thread-safe."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._counts: dict[Filter, tuple[tuple[int, int], int, int]] = {}

    def list_events(
        self, wanted: Filter, before: int | None, after: int | None, limit: int, offset: int = 0
    ) -> tuple[list[JsonObject], int, int]:
        """Return outlines, newest first, the number of matches, and that of all events.

        Args:
            wanted: which events.
            before: only those with a smaller id.
            after: only those with a larger id.
            limit: how many at most.
            offset: how many of the newest of all these are left out.
        """
        bounds = [
            f"events.id {operator} {bound:d}"
            for operator, bound in (("<", before), (">", after))
            if bound is not None
        ]
        query = EVENTS.format(columns=OUTLINE, tables=wanted.tables, where=wanted.where(*bounds))
        with self._journal.lock:
            rows = self._journal.select(query, (*wanted.values, limit, offset))
            matching, kept = self._count(wanted), self._journal.state.events
        return [_read_outline(row) for row in rows], matching, kept

    def find_event(self, number: int) -> JsonObject | None:
        """Return an outline with `message` as text, `previous` and the outline of its request."""
        with self._journal.lock:
            rows = self._journal.select(EVENT, (number,))
            if not rows:
                return None
            event = _read_outline(rows[0])
            key = (event["type"], event["event"], number)
            previous = self._journal.select(PREVIOUS, key)
            event["previous"] = dict(previous[0]) if previous else None
            if event["request"] is not None:
                found, _ = self.list_requests(event["request"] + 1, 1, least=event["request"])
                event["request"] = found[0] if found else None
            return event

    def list_names(self, wanted: Filter) -> list[JsonObject]:
        """Return how many matching events there are of each type and name, the most first."""
        query = NAMES.format(tables=wanted.tables, where=wanted.where())
        return [dict(row) for row in self._journal.select(query, (*wanted.values, MAX_NAMES))]

    def list_requests(
        self, before: int | None, limit: int, *, least: int = 0, offset: int = 0
    ) -> tuple[list[JsonObject], int]:
        """Return outlines, newest first, and the number of requests. See `list_events`."""
        most = NO_MORE if before is None else before - 1
        with self._journal.lock:
            rows = self._journal.select(REQUESTS, (least, most, limit, offset))
            return [_read_request(row) for row in rows], self._journal.kept_requests

    def export(self, wanted: Filter) -> Generator[list[JsonObject], None, None]:
        """Yield all matching events, oldest first: `at`, `verdict`, `reason`, `message` as text.

        What arrives meanwhile is left out: it may arrive as fast as it is read.
        """
        after, latest = 0, self._journal.state.latest
        while True:
            bounds = f"events.id BETWEEN {after + 1:d} AND {latest:d}"
            query = EXPORT.format(where=wanted.where(bounds))
            rows = self._journal.select(query, (*wanted.values, EXPORTED_AT_ONCE))
            if not rows:
                return
            after = rows[-1]["id"]
            yield [dict(row) for row in rows]

    def _count(self, wanted: Filter) -> int:
        """Return the number of matches; of those counted before, none is looked at again."""
        state = self._journal.state
        if not wanted.condition:
            return state.events
        era = (state.oldest, state.cleared)
        counted_era, counted, count = self._counts.pop(wanted, (era, 0, 0))
        if counted_era != era:  # some of those counted are gone
            counted = count = 0
        if counted < state.latest:
            where = wanted.where(f"events.id > {counted:d}")
            query = COUNT.format(tables=wanted.tables, where=where)
            newer: int = self._journal.select(query, wanted.values)[0][0]
            count += newer
        self._counts[wanted] = (era, state.latest, count)
        if len(self._counts) > MAX_COUNTS:
            del self._counts[next(iter(self._counts))]
        return count


def _read_outline(row: sqlite3.Row) -> dict[str, Any]:
    outline = dict(row)
    outline["gauge"] = outline["gauge"] and json.loads(outline["gauge"])
    return outline


def _read_request(row: sqlite3.Row) -> JsonObject:
    return {**dict(row), "gzip": bool(row["gzip"]), "scripted": bool(row["scripted"])}
