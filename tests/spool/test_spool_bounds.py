"""The bounds of a spool, and who makes room."""

from __future__ import annotations

import errno
import threading
import time
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pytest
from support.disk import failing
from support.spooled_client import (
    LONG,
    NOWHERE,
    folder_of,
    leave,
    left_behind,
    run_script,
    spool_of,
    track,
)
from support.waiting import wait_until

from segment_librato import Client, QueueFullError, SpoolConfig, SpoolFullError
from segment_librato.process.clock import monotonic
from segment_librato.spooling import lane as lane_module
from segment_librato.spooling import merged
from segment_librato.spooling import spool as spool_module
from segment_librato.spooling.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.errors import Errors

    from segment_librato.devserver import LocalSegment


# Bounds


def fill(client: Client, size: int, count: int) -> list[bool]:
    return [client.track("user", "event", {"n": n, "filling": "x" * size})[0] for n in range(count)]


def spool_bytes(client: Client) -> int:
    return spool_of(client).bytes


def test_beyond_its_bytes_messages_are_rejected_and_then_accepted_again(
    make: Callable[..., Client], path: Path, server: LocalSegment, errors: Errors
) -> None:
    client = make(spool=SpoolConfig(path, max_bytes=1024 * 1024), max_queue_size=10)
    with server.hold():
        accepted = fill(client, 10_000, 200)
        assert 90 < sum(accepted) < 106
        assert set(errors.types) == {QueueFullError}
        assert str(errors.calls[0][0]).startswith("the spool has 10")
        assert client.stats.rejected == 200 - sum(accepted)
        assert client.stats.spool is not None
        assert client.stats.spool.bytes <= 1024 * 1024
    assert client.flush(10)
    wait_until(lambda: not list(path.rglob("*.seg")))
    wait_until(lambda: fill(client, 10_000, 1) == [True])


def test_a_full_spool_is_not_said_to_accept_again_because_a_batch_is_taken(path: Path) -> None:
    output = run_script(
        path,
        """
        client = make(spool=SpoolConfig(path, max_bytes=1024 * 1024), exit_timeout=0)
        for n in range(150):
            client.track("user", "event", {"n": n, "text": "x" * 10_000})
        """,
    )
    assert "messages are rejected: the spool has 10" in output
    assert "wait in" in output
    assert "messages are accepted again" not in output


@pytest.mark.parametrize("options", [{"fsync": 0}, {"fsync": None}, {"deliver": False}])
def test_the_bound_holds_for_all_processes_of_a_folder(
    make: Callable[..., Client], path: Path, server: LocalSegment, options: dict[str, Any]
) -> None:
    """A client each, which know nothing of one another, stand for the processes."""
    config = SpoolConfig(path, max_bytes=4 * 1024 * 1024, **options)
    clients = [make(spool=config, max_queue_size=10) for _ in range(4)]
    with server.hold():
        for _ in range(200):
            for client in clients:
                fill(client, 10_000, 1)
        in_each = lane_module.MAX_SEGMENT_BYTES + 2 * 10_500  # until it looks again
        assert 4_000_000 < spool_bytes(clients[0]) < 4 * 1024 * 1024 + 4 * in_each


@pytest.mark.parametrize("fsync", [0.01, LONG])
def test_the_oldest_make_room_at_once_if_that_is_wanted(
    make: Callable[..., Client], path: Path, server: LocalSegment, errors: Errors, fsync: float
) -> None:
    config = SpoolConfig(path, max_bytes=2 * 1024 * 1024, when_full="drop_oldest", fsync=fsync)
    client = make(spool=config, max_queue_size=10, upload_size=1)
    with server.hold():
        accepted = []
        for n in range(600):
            accepted += fill(client, 10_000, 1)
            if n % 10 == 0:
                wait_until(lambda: spool_bytes(client) <= 2 * 1024 * 1024)
        assert all(accepted)
        wait_until(lambda: spool_bytes(client) <= 2 * 1024 * 1024)
        assert set(errors.types) == {SpoolFullError}
    assert client.flush(20)
    stats = client.stats
    assert stats.failed == len(errors.message_ids) > 300
    assert stats.delivered + stats.failed == 600
    arrived = {message["messageId"] for message in server.messages}
    assert not arrived & set(errors.message_ids)


def test_an_on_error_that_exits_does_not_keep_newer_messages_from_being_accepted(
    make: Callable[..., Client], path: Path, server: LocalSegment
) -> None:
    """It is called on the thread that makes room, which goes on."""
    told: list[str] = []

    def exit_(error: Exception, messages: list[dict[str, Any]]) -> None:
        assert type(error) is SpoolFullError
        told.extend(message["messageId"] for message in messages)
        raise SystemExit

    config = SpoolConfig(path, max_bytes=1024 * 1024, when_full="drop_oldest", fsync=0.01)
    client = make(spool=config, max_queue_size=10, upload_size=1, on_error=exit_)
    with server.hold():
        for _ in range(30):
            assert all(fill(client, 10_000, 10))
            wait_until(lambda: spool_bytes(client) <= 1024 * 1024)
    assert client.flush(20)
    stats = client.stats
    assert stats.failed == len(told) == len(set(told)) > 150
    assert stats.delivered + stats.failed == 300


def test_room_is_not_made_while_all_that_there_is_is_being_sent(
    make: Callable[..., Client], path: Path, server: LocalSegment, errors: Errors
) -> None:
    """Another process may have filled the spool."""
    config = SpoolConfig(path, max_bytes=1024 * 1024, when_full="drop_oldest", fsync=LONG)
    client = make(spool=config, upload_size=1)
    other = Run(folder_of(path))
    with server.hold():
        track(client, range(1))
        assert server.wait_until(lambda: server.held == 1)
        lane = other.lane()
        for _ in range(120):
            lane.append(b"x" * 10_000)
        upkeep: Any = client._router._pipelines[0]._upkeep  # noqa: SLF001  its thread does this
        for _ in range(3):
            upkeep.make_room()
        assert spool_bytes(client) > 1024 * 1024
        assert client.stats.pending == 1
    assert client.flush(10)
    assert errors.calls == []
    assert client.stats.delivered == 1
    other.close()


def test_a_keeper_that_has_ended_is_replaced_though_consumers_live(
    make: Callable[..., Client], path: Path, synced: list[str]
) -> None:
    client = make(spool=SpoolConfig(path, fsync=0.01), upload_interval=LONG)
    track(client, range(1))
    wait_until(lambda: bool(synced))
    keeper = next(one for one in threading.enumerate() if one.name == "segment-keeper")
    client._router._segment._upkeep.stop()  # type: ignore[union-attr]  # noqa: SLF001  as `join`
    keeper.join()
    synced.clear()
    track(client, range(1, 3))
    wait_until(lambda: bool(synced))


# An outage that lasts


def wait_until_set_aside(client: Client, count: int) -> None:
    queue: Any = client.queue
    wait_until(lambda: queue.ledger.count_set_aside() >= count)


def test_calls_that_a_full_spool_rejects_do_not_have_the_server_asked_before_it_is_time(
    make: Callable[..., Client], path: Path, server: LocalSegment
) -> None:
    server.respond(429, times=None, headers={"Retry-After": "300"})
    config = SpoolConfig(path, max_bytes=1024 * 1024)
    client = make(spool=config, upload_size=10, max_rate_limit_duration=0)
    fill(client, 10_000, 120)
    wait_until_set_aside(client, 4)
    requests = len(server.requests)
    assert requests == 4
    for _ in range(300):
        assert fill(client, 10_000, 1) == [False]
    assert not client.flush(0)  # which may ask
    assert server.wait_until(lambda: len(server.requests) > 4)
    wait_until_set_aside(client, 4)
    assert len(server.requests) == 8


def test_the_oldest_of_what_was_set_aside_makes_room_and_the_rest_is_not_sent(
    make: Callable[..., Client], path: Path, server: LocalSegment, errors: Errors
) -> None:
    server.respond(429, times=None, headers={"Retry-After": "300"})
    config = SpoolConfig(path, max_bytes=1024 * 1024, when_full="drop_oldest", fsync=0.01)
    client = make(spool=config, upload_size=10, max_rate_limit_duration=0)
    calls = [client.track("u", "e", {"text": "x" * 10_000}) for _ in range(60)]
    wait_until_set_aside(client, 4)
    while not errors.calls:
        calls.append(client.track("u", "e", {"text": "x" * 10_000}))
        assert calls[-1][0]
        wait_until(lambda: spool_bytes(client) <= 1024 * 1024)
    assert set(errors.types) == {SpoolFullError}
    ids = [message["messageId"] for _, message in calls]
    dropped = [ids.index(one) for one in errors.message_ids]
    latest = [*accumulate(dropped, max)]
    in_turn = {number for number, most in zip(dropped, latest, strict=True) if number == most}
    assert latest[-1] + 1 - len(in_turn) <= 10  # which were being sent when it was their turn
    wait_until_set_aside(client, 4)  # the next ones, in their place
    asked = [one["messageId"] for request in server.requests for one in request.messages]
    assert len(asked) == len(set(asked)) > 40


def test_why_a_call_is_rejected_takes_no_look_at_the_folder(
    make: Callable[..., Client],
    path: Path,
    server: LocalSegment,
    errors: Errors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = make(spool=SpoolConfig(path, max_bytes=1024 * 1024), upload_interval=LONG)
    with server.hold():
        fill(client, 10_000, 120)
        size = spool_bytes(client)
        looks: list[Any] = []
        now = monotonic()
        monkeypatch.setattr(spool_module, "monotonic", lambda: now)
        client.queue.spool.measure()  # type: ignore[attr-defined]
        monkeypatch.setattr(spool_module, "_entries", looks.append)
        errors.calls.clear()
        assert fill(client, 10_000, 20) == [False] * 20
        assert looks == []
    assert {str(error) for error, _ in errors.calls} == {
        f"the spool has {size} bytes of at most {1024 * 1024}"
    }


@pytest.mark.parametrize("is_readable", [True, False])
def test_a_consumer_that_has_to_leave_rests_while_nothing_can_be_sent(
    make: Callable[..., Client], path: Path, monkeypatch: pytest.MonkeyPatch, *, is_readable: bool
) -> None:
    if not is_readable:
        monkeypatch.setattr(merged, "_open", failing(errno.EMFILE))
    client = make(
        host=NOWHERE,
        upload_size=10,
        upload_interval=0.01,
        max_queue_size=100 if is_readable else 10,
        max_retries=0,
        thread=2,
    )
    track(client, range(100))
    wait_until_set_aside(client, 4 if is_readable else 1)
    queue: Any = client.queue
    looks: list[Any] = []
    fall_asleep = queue._fall_asleep  # noqa: SLF001  each time that there is nothing to do

    def look(waiter: Any) -> Any:
        looks.append(waiter)
        return fall_asleep(waiter)

    monkeypatch.setattr(queue, "_fall_asleep", look)
    queue.close()
    time.sleep(0.3)  # in which consumers that do not rest look again and again
    assert len(looks) < 10
    leave(client)
    monkeypatch.undo()
    assert left_behind(path) == list(range(100))
