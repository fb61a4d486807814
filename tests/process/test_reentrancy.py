"""Calls from where nobody expects them, while a lock of the library is held: no deadlock."""

from __future__ import annotations

import gc
import logging
from typing import TYPE_CHECKING, Any

import pytest
from support.script import run, sequence_numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato import Client
    from segment_librato.devserver import LocalSegment

    MakeClient = Callable[..., Client]

LONG = 60.0


class TracksWhenItGoes:
    """An object in a cycle, so that it goes when the garbage collector runs, in any thread."""

    def __init__(self, client: Client, number: int, gone: list[int]) -> None:
        self.itself = self
        self._client = client
        self._number = number
        self._gone = gone

    def __del__(self) -> None:
        self._client.track("user", "event", {"n": self._number})
        self._gone.append(self._number)


def test_a_del_may_track_while_the_lock_is_held(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(upload_interval=LONG)
    gc.disable()  # it goes here, and in no other thread
    try:
        TracksWhenItGoes(client, 1, [])
        with client.queue.lock:
            gc.collect()
            assert client.queue.qsize() == 1
    finally:
        gc.enable()
    assert client.flush(timeout=10)
    assert sequence_numbers(server) == [1]


def test_a_del_may_track_at_any_allocation_of_a_call(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(upload_interval=LONG, max_queue_size=0)
    gone: list[int] = []
    threshold = gc.get_threshold()
    gc.set_threshold(1)  # a collection at almost each allocation
    try:
        for number in range(0, 1_000, 2):
            TracksWhenItGoes(client, number, gone)
            client.track("user", "event", {"n": number + 1})
    finally:
        gc.set_threshold(*threshold)
    while len(gone) < 500:  # a collection does nothing while another thread is at it
        gc.collect()
    assert client.flush(timeout=20)
    assert sorted(sequence_numbers(server)) == list(range(1_000))


class TrackingHandler(logging.Handler):
    """A log handler that tracks what it is given, up to a number."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.client: Client | None = None
        self.left = count

    def emit(self, record: logging.LogRecord) -> None:
        if self.client and self.left:
            self.left -= 1
            self.client.track("user", "logged", {"n": self.left})


@pytest.mark.parametrize("sync_mode", [False, True])
def test_a_log_handler_may_track(
    server: LocalSegment, make_client: MakeClient, sync_mode: bool
) -> None:
    logger = logging.getLogger("segment")
    handler, level = TrackingHandler(5), logger.level
    client = handler.client = make_client(
        log_handler=handler, debug=True, upload_size=1, sync_mode=sync_mode
    )
    try:
        client.track("user", "event", {"n": 5})
        assert server.wait_for(6)
        assert client.flush(timeout=10)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert sorted(sequence_numbers(server)) == list(range(6))


@pytest.mark.parametrize("what", ["track", "flush", "join", "shutdown"])
@pytest.mark.parametrize("sync_mode", [False, True])
@pytest.mark.parametrize("reason", ["failed", "rejected"])
def test_an_on_error_may_call_anything(
    server: LocalSegment, make_client: MakeClient, what: str, reason: str, sync_mode: bool
) -> None:
    calls: list[object] = []

    def on_error(error: Exception, messages: list[dict[str, Any]]) -> None:
        arguments = ("user", "from on_error") if what == "track" else ()
        calls.append(getattr(client, what)(*arguments))

    client = make_client(on_error=on_error, upload_interval=LONG, sync_mode=sync_mode)
    if reason == "failed":
        server.respond(404)
    else:
        client.shutdown(timeout=10)
    client.track("user", "event")
    assert client.flush(timeout=10)
    assert len(calls) == 1
    assert client.shutdown(timeout=10)
    stats = client.stats
    assert stats.pending == 0
    assert stats.accepted == stats.delivered + stats.failed


def test_an_import_that_another_thread_is_in_the_middle_of_holds_nothing_up(
    server: LocalSegment, tmp_path: Any
) -> None:
    """Sending imports nothing: a call made while a module is imported does not wait for it."""
    (tmp_path / "tracks_on_import.py").write_text(
        "import __main__\n"
        "__main__.track(__main__.client, range(3))\n"
        "assert __main__.client.flush(timeout=20)\n"
    )
    run(
        server,
        f"""
        sys.path.insert(0, {str(tmp_path)!r})
        client = make()
        import tracks_on_import
        """,
    )
    assert sequence_numbers(server) == [0, 1, 2]


@pytest.mark.parametrize("line", ["consumer started", "consumer stopped"])
@pytest.mark.parametrize("what", ["flush", "join", "shutdown"])
def test_a_log_handler_on_the_thread_of_a_consumer_waits_for_nothing(
    make_client: MakeClient, server: LocalSegment, line: str, what: str
) -> None:
    results: list[bool] = []

    class Caller(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == line:
                results.append(getattr(client, what)())

    logger, handler = logging.getLogger("segment"), Caller()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        client = make_client(upload_interval=LONG)
        client.track("user", "event", {"n": 1})
        assert client.join(timeout=10)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert results == [False]
    assert sequence_numbers(server) == [1]
