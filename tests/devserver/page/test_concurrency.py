"""Many at once: clients that track, pages that ask, and somebody who clears everything."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from support.debugger import ask, follow, get, json_lines
from support.local_server import batch, post, track

from segment_librato import Client
from segment_librato.devserver.page.debugger import Debugger
from segment_librato.devserver.page.journal import Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    ("/events", {"event": "signed", "limit": 1000}),
    ("/events", {"text": "no such text"}),
    ("/names", {}),
    ("/requests", {}),
    ("/gauges", {}),
    ("/faults", {}),
    ("/clients", {}),
]


def together(*calls: Callable[[], object]) -> None:
    """Run calls in threads; what one of them raises fails the test."""
    failures: list[BaseException] = []

    def run(call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as failure:  # noqa: BLE001  it is raised below
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    assert not failures, failures
    assert not any(thread.is_alive() for thread in threads)


def count(debugger: Debugger, table: str) -> int:
    number: int = debugger.journal.select(f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608  a table of ours
    return number


def test_nobody_is_disturbed_and_nothing_is_counted_twice(tmp_path: Path) -> None:
    with Debugger(database=tmp_path / "events.db", limits=Limits(events=500)) as debugger:

        def write() -> None:
            for number in range(40):
                messages = [track(event=f"Signed {number}", number=number)] * 10
                assert post(debugger.server, batch(*messages))[0] == 200

        def look() -> None:
            for _ in range(10):
                for path, query in QUESTIONS:
                    get(debugger, path, **query)
                json_lines(debugger)

        def clear() -> None:
            for _ in range(10):
                assert ask(debugger, "/events", method="DELETE").status == 200

        def listen() -> None:
            with closing(follow(debugger)) as states:
                next(states)
                assert next(states)

        together(write, write, look, look, clear, listen)

        write()
        found = get(debugger, "/events", event="signed", limit=1000)
        assert found["kept"] == found["matching"] == len(found["events"])
        assert found["kept"] == count(debugger, "events") == count(debugger, "payloads")
        ids = [event["id"] for event in found["events"]]
        assert ids == [*range(ids[0], ids[0] - len(ids), -1)]
        counted = sum(gauge["count"] for gauge in get(debugger, "/gauges"))
        assert counted == count(debugger, "measurements")


@pytest.mark.parametrize("kind", ["429", "500", "slow", "reset"])
def test_through_any_trouble_each_event_arrives_once(debugger: Debugger, kind: str) -> None:
    fault = {"kind": kind, "times": 3, "retry_after": 0, "delay": 0.05}
    assert ask(debugger, "/faults", fault).status == 200
    with Client("k", host=debugger.host, upload_size=20) as client:
        for number in range(200):
            client.track("ada", f"Event {number}")
        assert client.flush(30)
        stats = client.stats

    assert stats.accepted == stats.delivered == 200
    found = get(debugger, "/events", limit=1000, verdict="accepted")["events"]
    assert {event["event"] for event in found} == {f"Event {number}" for number in range(200)}
    assert len(found) == 200
    requests = get(debugger, "/requests", limit=1000)["requests"]
    assert sum(request["scripted"] for request in requests) == 3
    assert all(request["duration"] is not None for request in requests)
