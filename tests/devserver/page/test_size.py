"""A hundred thousand events: each question looks at no more of them than it has to."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from support.debugger import ask, fill, get, json_lines
from support.local_server import batch, post, track

from segment_librato.devserver.page import filters, journal
from segment_librato.devserver.page.debugger import Debugger

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENTS = 100_000
MOST_INSTRUCTIONS = 25  # of SQLite, to list events and their names: two looks at each


@pytest.fixture(scope="module")
def looked_at() -> Iterator[list[str]]:
    """Keep each text that a filter has looked at."""
    looked: list[str] = []

    def contains(text: str, part: str) -> bool:
        looked.append(text)
        return filters.contains(text, part)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "contains", contains)
        yield looked


@pytest.fixture(scope="module")
def full(looked_at: list[str]) -> Iterator[Debugger]:
    with Debugger() as debugger:
        fill(debugger, EVENTS)
        yield debugger


def plan(debugger: Debugger, monkeypatch: pytest.MonkeyPatch, path: str, **query: Any) -> list[str]:
    """Return how SQLite goes about the queries that a request makes."""
    steps: list[str] = []
    select = debugger.journal.select

    def explain(text: str, values: Any = ()) -> Any:
        steps.extend(row["detail"] for row in select(f"EXPLAIN QUERY PLAN {text}", values))
        return select(text, values)

    with monkeypatch.context() as patch:
        patch.setattr(debugger.journal, "select", explain)
        get(debugger, path, **query)
    return steps


@contextmanager
def instructions(debugger: Debugger) -> Iterator[list[int]]:
    """Count the instructions that SQLite executes, to a thousand."""
    count = [0]

    def note() -> int:
        count[0] += 1000
        return 0

    database = debugger.journal._database  # noqa: SLF001  only a connection counts them
    database.set_progress_handler(note, 1000)
    yield count
    database.set_progress_handler(None, 0)


class TestWork:
    def test_everything_is_kept(self, full: Debugger) -> None:
        found = get(full, "/events", limit=1)
        assert (found["kept"], found["matching"]) == (EVENTS, EVENTS)

    def test_the_newest_are_found_without_looking_further(
        self, full: Debugger, looked_at: list[str]
    ) -> None:
        get(full, "/events", event="event 7", limit=1)  # the matches are counted once
        looked_at.clear()
        found = get(full, "/events", event="event 7", limit=10)
        assert (len(found["events"]), found["matching"]) == (10, EVENTS // 50)
        assert len(looked_at) <= 500

    def test_a_page_that_follows_looks_at_what_is_new_only(
        self, full: Debugger, looked_at: list[str]
    ) -> None:
        query = {"event": "nothing like it", "after": EVENTS}
        get(full, "/events", **query)
        looked_at.clear()
        assert get(full, "/events", **query)["matching"] == 0
        assert looked_at == []

    def test_a_filter_reads_each_event_twice_at_most(
        self, full: Debugger, looked_at: list[str]
    ) -> None:
        looked_at.clear()
        assert get(full, "/events", user="nobody")["matching"] == 0
        assert len(looked_at) <= 2 * EVENTS

    def test_the_cheap_condition_comes_first(self, full: Debugger, looked_at: list[str]) -> None:
        looked_at.clear()
        get(full, "/events", user="user-1", verdict="rejected")
        get(full, "/events", text="ü", type="page")
        assert looked_at == []

    def test_a_long_text_is_no_pattern_whose_length_would_count(
        self, full: Debugger, looked_at: list[str]
    ) -> None:
        looked_at.clear()
        assert get(full, "/events", text="x" * 50)["matching"] == 0
        assert looked_at == []
        assert get(full, "/events", text="x" * 51)["matching"] == 0
        assert EVENTS <= len(looked_at) <= 2 * EVENTS

    @pytest.mark.parametrize(
        "path, query",
        [
            ("/events", {"limit": 100}),
            ("/events", {"type": "track", "verdict": "accepted"}),
            ("/events", {"event": "7", "text": "7", "before": 50}),
            ("/events/50000", {}),
            ("/names", {}),
            ("/requests", {}),
            ("/gauges/Event-1", {"seconds": 86_400}),
        ],
    )
    def test_no_query_sorts_events_or_reads_a_table_for_nothing(
        self, full: Debugger, monkeypatch: pytest.MonkeyPatch, path: str, query: dict[str, Any]
    ) -> None:
        steps = plan(full, monkeypatch, path, **query)
        assert steps
        if path.startswith("/events"):
            assert not [step for step in steps if "TEMP B-TREE" in step]
        if path == "/events/50000":
            assert not [step for step in steps if step.startswith("SCAN")]
        if path.startswith("/gauges/"):
            used = (
                "SEARCH measurements USING INDEX measurements_of_gauge (name=? AND at>? AND at<?)"
            )
            assert used in steps

    def test_the_summary_of_gauges_reads_a_measurement_once(
        self, full: Debugger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert sum(gauge["count"] for gauge in get(full, "/gauges")) == EVENTS
        steps = plan(full, monkeypatch, "/gauges")
        assert not [step for step in steps if "GROUP BY" in step or step == "SCAN measurements"]

    def test_a_day_is_a_bounded_number_of_points(self, full: Debugger) -> None:
        chart = get(full, "/gauges/Event-1", seconds=86_400)
        assert all(len(line["points"]) <= 2 * 1500 for line in chart["lines"])

    @pytest.mark.parametrize(
        "query",
        [
            {},
            {"event": "nothing like it"},
            {"text": "nothing like it"},
            {"text": "nichts dergleichen, ähnlich"},
            {"type": "page", "user": "1", "text": "7"},
        ],
    )
    def test_a_filter_takes_few_instructions_for_each_event(
        self, full: Debugger, query: dict[str, str]
    ) -> None:
        with instructions(full) as taken:
            get(full, "/events", **query)
            get(full, "/names", **query)
        assert taken[0] <= MOST_INSTRUCTIONS * EVENTS

    def test_all_of_them_are_exported(self, full: Debugger) -> None:
        assert len(ask(full, "/events.jsonl").body.splitlines()) == EVENTS
        assert [line["message"]["number"] for line in json_lines(full, text=":99999}")] == [99_999]


def test_a_client_can_go_on_while_somebody_searches(full: Debugger) -> None:
    assert post(full.server, batch(track()))[0] == 200
    assert get(full, "/events", limit=1)["events"][0]["id"] == EVENTS + 1
