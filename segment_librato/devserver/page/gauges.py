"""What the page asks the journal about gauges: which there are, and what they have measured.

Owns these queries, and a summary that is brought up to date when it is asked for. Must not know
how entries are written, or what a chart looks like.
"""

from __future__ import annotations

import json
from heapq import nlargest
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from segment_librato.devserver.page.charts import Bucket

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from segment_librato.devserver.http.exchange import JsonObject
    from segment_librato.devserver.page.journal import Journal

__all__ = ["Gauges"]

MAX_GAUGES = 1000
MAX_SOURCES = 100
ORIGINS = {(0, 0): "events", (1, 1): "direct", (0, 1): "both"}

ERA = "SELECT min(id) FROM measurements"
NEWER = """
    SELECT name, source, count(*) AS count, min(at) AS first, max(at) AS last, max(id) AS newest,
           min(is_direct) AS least, max(is_direct) AS most
    FROM measurements WHERE id > ? GROUP BY name, source ORDER BY newest
"""
VALUE = 'SELECT sum / "values" FROM measurements WHERE id = ?'
DISPLAYS = "SELECT name, display FROM displays"
IS_KNOWN = "SELECT 1 FROM measurements WHERE name = ? LIMIT 1"
BUCKETS = """
    SELECT source, CAST(at / ? AS INTEGER) * ? AS start, min(at), count(*), total("values"),
           total(sum)
    FROM measurements WHERE name = ? AND at BETWEEN ? AND ? GROUP BY source, start ORDER BY start
"""


class Gauges:
    """Asks a journal about gauges. Thread-safe. Names and sources ignore case, as Librato does."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._summary: dict[str, dict[str, Any]] = {}
        self._era: tuple[int, int] | None = None
        self._latest = 0

    def list_all(self) -> list[JsonObject]:
        """Return name, sources, count, first and last time, value, origin and display of each.

        At most `MAX_GAUGES`: those with the most measurements, by name.
        """
        with self._journal.lock:
            self._update()
            displays = self._read_displays()
            most = nlargest(MAX_GAUGES, self._summary.values(), key=itemgetter("count"))
            return [self._describe(gauge, displays) for gauge in sorted(most, key=_key_of)]

    def find_display(self, name: str) -> JsonObject:
        """Return the display options that a gauge was given; none if there are none."""
        display: JsonObject = json.loads(self._read_displays().get(name.lower(), "{}"))
        return display

    def measure(self, name: str, start: float, end: float, interval: int) -> list[Bucket]:
        """Return what each source has measured in each interval of a time, oldest first."""
        values = (interval, interval, name, start, end)
        return [Bucket(*row) for row in self._journal.select(BUCKETS, values)]

    def knows(self, name: str) -> bool:
        """Return whether there is a measurement of a gauge."""
        return bool(self._journal.select(IS_KNOWN, (name,)))

    def _update(self) -> None:
        """Add to the summary what is new; if something is gone, begin anew."""
        state = self._journal.state
        era = (self._journal.select(ERA)[0][0], state.cleared)
        if era != self._era:
            self._summary.clear()
            self._era, self._latest = era, 0
        if self._latest < state.measurements:
            for row in self._journal.select(NEWER, (self._latest,)):
                self._add(row)
            self._latest = state.measurements

    def _add(self, row: sqlite3.Row) -> None:
        new = dict(row)
        source = new.pop("source")
        known = self._summary.setdefault(_key_of(row), {**new, "count": 0, "sources": {}})
        known["sources"].setdefault(source.lower(), source)
        known["count"] += new["count"]
        for key, choose in (("first", min), ("least", min), ("last", max), ("most", max)):
            known[key] = choose(known[key], new[key])
        known["newest"] = new["newest"]  # rows come in this order

    def _describe(self, gauge: dict[str, Any], displays: dict[str, str]) -> JsonObject:
        display = displays.get(_key_of(gauge))
        return {
            "name": gauge["name"],
            "sources": sorted(gauge["sources"].values())[:MAX_SOURCES],
            "count": gauge["count"],
            "first": gauge["first"],
            "last": gauge["last"],
            "value": self._journal.select(VALUE, (gauge["newest"],))[0][0],
            "origin": ORIGINS[gauge["least"], gauge["most"]],
            "display": display and json.loads(display),
        }

    def _read_displays(self) -> dict[str, str]:
        rows = self._journal.select(DISPLAYS)
        return {_key_of(row): row["display"] for row in rows}


def _key_of(gauge: Mapping[str, str] | sqlite3.Row) -> str:
    key: str = gauge["name"].lower()
    return key
