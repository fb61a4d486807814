"""What a client delivers of what dead processes left, while it lives."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.script import sequence_numbers
from support.spool import run_by_hand
from support.waiting import wait_until

from segment_librato import (
    APIError,
    Client,
    SpoolConfig,
    SpoolCorruptError,
    SpoolExpiredError,
    SpoolFullError,
    drain_spool,
)
from segment_librato.config.client import Config
from segment_librato.delivery import adoption
from segment_librato.delivery.adoption import Adoption
from segment_librato.process.clock import monotonic
from segment_librato.queue import patient_queue
from segment_librato.spooling.folder import open_spool
from segment_librato.spooling.format import HEADER, pack
from segment_librato.spooling.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.errors import Errors

    from segment_librato.counters import SpoolStats
    from segment_librato.devserver import LocalSegment

KEY = "test-key"
OWN = 1000  # the numbers of the client's own messages begin here


@pytest.fixture
def folder(tmp_path: Path, server: LocalSegment) -> Path:
    return open_spool(tmp_path / "spool", KEY, Config(KEY, server.host).batch_url)


@pytest.fixture
def make(make_client: Callable[..., Client], folder: Path) -> Callable[..., Client]:
    def make(**options: Any) -> Client:
        return make_client(**{"spool": folder.parent, **options})

    return make


@pytest.fixture
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adoption, "LOOK_SECONDS", 0.05)


def payload(n: int) -> bytes:
    message = {"type": "track", "userId": "u", "event": "e", "messageId": f"m{n}"}
    return json.dumps({**message, "properties": {"n": n}}).encode()


def leave(folder: Path, *numbers: int) -> None:
    run = Run(folder)
    lane = run.lane()
    for n in numbers:
        lane.append(payload(n))
    run.close()


def track(client: Client, *numbers: int) -> None:
    for n in numbers:
        assert client.track("u", "e", {"n": n})[0]


def spool_stats(client: Client) -> SpoolStats:
    stats = client.stats.spool
    assert stats is not None
    return stats


def runs(folder: Path) -> list[Path]:
    return list(folder.glob("*.run"))


def test_a_client_delivers_what_was_left_behind_its_own(
    make: Callable[..., Client], folder: Path, server: LocalSegment, errors: Errors
) -> None:
    leave(folder, *range(100))
    leave(folder, *range(100, 150))
    client = make()
    track(client, OWN)
    assert server.wait_for(151)
    assert sequence_numbers(server)[0] == OWN
    assert sorted(sequence_numbers(server)) == [*range(150), OWN]
    assert client.shutdown(10)
    stats = client.stats
    assert (stats.accepted, stats.delivered, stats.failed, stats.pending) == (1, 1, 0, 0)
    assert stats.spool is not None
    assert stats.spool[:4] == (0, 0, 150, 150)
    assert runs(folder) == []
    assert errors.calls == []
    assert server.duplicates == 0


@pytest.mark.parametrize(
    "flush", [Client.flush, lambda client: asyncio.run(client.aflush())], ids=["flush", "aflush"]
)
def test_a_client_that_only_flushes_delivers_what_was_left(
    make: Callable[..., Client],
    folder: Path,
    server: LocalSegment,
    flush: Callable[[Client], bool],
) -> None:
    leave(folder, *range(5))
    client = make()
    threads = threading.active_count()
    assert client.join(10)
    assert threading.active_count() == threads  # it has started none
    assert flush(client)
    assert server.wait_for(5)
    assert client.shutdown(10)
    assert runs(folder) == []


def test_what_dead_processes_left_makes_room_before_what_is_new(
    make: Callable[..., Client], folder: Path, errors: Errors
) -> None:
    run = Run(folder)
    lane = run.lane()
    text = "x" * 10_000
    for n in range(101):
        lane.append(json.dumps({"messageId": f"m{n}", "properties": {"text": text}}).encode())
    run.close()
    config = SpoolConfig(folder.parent, max_bytes=1024 * 1024, when_full="drop_oldest", fsync=0.01)
    client = make(host="http://127.0.0.1:9", spool=config)
    folder.rename(open_spool(folder.parent, KEY, client.config.batch_url))
    for _ in range(20):
        assert client.track("u", "e", {"text": text})[0]
        wait_until(lambda: spool_stats(client).bytes <= 1024 * 1024)
    assert set(errors.types) == {SpoolFullError}
    assert errors.message_ids == [f"m{n}" for n in range(len(errors.message_ids))]
    assert client.stats.failed == 0
    assert client.stats.pending == 20
    assert spool_stats(client).adopted == len(errors.message_ids)


def test_what_is_new_stays_while_the_oldest_are_being_delivered(
    make: Callable[..., Client],
    folder: Path,
    server: LocalSegment,
    errors: Errors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "x" * 10_000
    run = Run(folder)
    lane = run.lane()
    for n in range(102):
        message = {"type": "track", "userId": "u", "event": "e", "messageId": f"m{n}"}
        lane.append(json.dumps({**message, "properties": {"n": n, "text": text}}).encode())
    run.close()
    monkeypatch.setattr(patient_queue, "MAX_PRECEDENCE", 0.0)
    config = SpoolConfig(folder.parent, max_bytes=1024 * 1024, when_full="drop_oldest", fsync=0.01)
    client = make(spool=config, upload_interval=60)
    looks: list[bool] = []
    make_room = Adoption.make_room

    def look(adoption: Adoption) -> bool:
        looks.append(make_room(adoption))
        return looks[-1]

    monkeypatch.setattr(Adoption, "make_room", look)
    with server.hold():
        for n in range(OWN, OWN + 5):
            assert client.track("u", "e", {"n": n, "text": text})[0]
            assert server.wait_until(lambda: server.held == 1)
        assert spool_stats(client).bytes > 1024 * 1024
        wait_until(lambda: len(looks) >= 3)
    assert client.flush(10)
    assert server.wait_for(107)
    assert sorted(sequence_numbers(server)) == [*range(102), *range(OWN, OWN + 5)]
    assert errors.calls == []


def test_a_client_that_goes_on_tracking_delivers_it_too(
    make: Callable[..., Client], folder: Path, server: LocalSegment
) -> None:
    leave(folder, *range(10))
    client = make(upload_interval=0.02)
    deadline, n = monotonic() + 30, OWN
    while not {*range(10)} <= {*sequence_numbers(server)}:
        assert monotonic() < deadline
        track(client, n)
        n += 1
    assert client.shutdown(10)


@pytest.mark.usefixtures("in_haste")
def test_a_client_looks_again(
    make: Callable[..., Client], folder: Path, server: LocalSegment
) -> None:
    client = make()
    track(client, OWN)
    assert server.wait_for(1)
    for n in range(3):
        leave(folder, n)
        assert server.wait_for(n + 2)
    assert client.shutdown(10)
    assert runs(folder) == []


@pytest.mark.usefixtures("in_haste")
@pytest.mark.parametrize("status", [429, 503])
def test_what_a_server_in_trouble_does_not_take_stays_for_later(
    make: Callable[..., Client],
    folder: Path,
    server: LocalSegment,
    errors: Errors,
    status: int,
) -> None:
    leave(folder, *range(10))
    server.respond(200)
    server.respond(status, times=3)
    client = make()
    track(client, OWN)
    assert server.wait_for(11)
    assert client.shutdown(10)
    assert [request.status for request in server.requests] == [200, status, status, status, 200]
    assert errors.calls == []
    assert server.duplicates == 0


def test_what_the_server_refuses_goes_to_on_error_and_is_not_counted_as_accepted(
    make: Callable[..., Client], folder: Path, server: LocalSegment, errors: Errors
) -> None:
    leave(folder, 1, 2)
    server.respond(200)
    server.respond(401)
    client = make()
    track(client, OWN)
    wait_until(lambda: len(errors.calls) == 1 and runs(folder) != [])
    assert client.shutdown(10)
    assert errors.types == [APIError]
    assert errors.message_ids == ["m1", "m2"]
    assert (client.stats.accepted, client.stats.failed) == (1, 0)
    assert client.stats.spool is not None
    assert client.stats.spool[2:4] == (2, 0)
    assert runs(folder) == []


def test_what_is_too_old_goes_to_on_error(
    make: Callable[..., Client], folder: Path, server: LocalSegment, errors: Errors
) -> None:
    run = run_by_hand(folder, HEADER + pack(0, payload(1)))
    long_ago = time.time() - 100
    os.utime(next(run.glob("*.seg")), (long_ago, long_ago))
    client = make(spool=SpoolConfig(folder.parent, max_age=50))
    track(client, OWN)
    wait_until(lambda: errors.types == [SpoolExpiredError])
    assert client.shutdown(10)
    assert errors.message_ids == ["m1"]
    assert sequence_numbers(server) == [OWN]
    assert runs(folder) == []


def test_damage_goes_to_on_error(
    make: Callable[..., Client], folder: Path, server: LocalSegment, errors: Errors
) -> None:
    run_by_hand(folder, HEADER + pack(0, payload(1)) + b"damage!!")
    client = make()
    track(client, OWN)
    assert server.wait_for(2)
    assert client.shutdown(10)
    ((error, messages),) = errors.calls
    assert isinstance(error, SpoolCorruptError)
    assert messages == []
    assert client.stats.spool is not None
    assert client.stats.spool.quarantined == 1


def test_a_client_that_only_writes_delivers_nothing(
    make: Callable[..., Client], folder: Path, server: LocalSegment
) -> None:
    leave(folder, 1, 2)
    client = make(spool=SpoolConfig(folder.parent, deliver=False))
    track(client, OWN)
    client.shutdown(10)
    assert server.requests == []
    assert drain_spool(folder.parent, KEY, host=server.host).delivered == 3


def test_a_shutdown_does_not_wait_for_the_backlog_and_lets_go_of_it(
    make: Callable[..., Client], folder: Path, server: LocalSegment, errors: Errors
) -> None:
    for n in range(4):
        leave(folder, *range(n * 3000, n * 3000 + 3000))
    client = make(upload_interval=0.01)
    track(client, 100_000)
    assert server.wait_for(1)
    assert client.shutdown(10)
    delivered = len(server.messages)
    left = drain_spool(folder.parent, KEY, host=server.host)
    assert delivered + left.delivered == 12_001
    assert left.left == 0
    assert errors.calls == []
    assert server.duplicates == 0


def test_the_exit_does_not_wait_for_a_server_that_does_not_answer_about_the_backlog(
    folder: Path, server: LocalSegment
) -> None:
    leave(folder, 1, 2)
    script = f"""
        import sys, time
        from segment_librato import Client
        client = Client("{KEY}", sys.argv[1], spool=sys.argv[2], exit_timeout=600)
        client.flush(10)
        sys.stdin.readline()
        """
    child = subprocess.Popen(  # noqa: S603  the tests' own script
        [sys.executable, "-c", textwrap.dedent(script), server.host, folder.parent],
        stdin=subprocess.PIPE,
    )
    with child, server.hold():
        try:
            assert server.wait_until(lambda: server.held == 1)
            child.communicate(b"end\n", timeout=240)
        finally:
            child.kill()
    assert child.returncode == 0
    assert drain_spool(folder.parent, KEY, host=server.host).delivered == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_on_error_that_exits_does_not_end_the_client(
    make: Callable[..., Client], folder: Path, server: LocalSegment
) -> None:
    told: list[Any] = []

    def exit_(error: Exception, messages: list[dict[str, Any]]) -> None:
        told.extend(message["messageId"] for message in messages)
        raise SystemExit

    leave(folder, 1, 2)
    server.respond(200)
    server.respond(401)
    client = make(on_error=exit_)
    track(client, OWN)
    wait_until(lambda: told == ["m1", "m2"])
    track(client, OWN + 1)
    assert client.shutdown(10)
    assert sequence_numbers(server) == [OWN, OWN + 1]
    assert runs(folder) == []


@pytest.mark.usefixtures("in_haste")
def test_several_clients_and_threads_deliver_each_message_once(
    make: Callable[..., Client], folder: Path, server: LocalSegment
) -> None:
    for n in range(40):
        leave(folder, *range(n * 10, n * 10 + 10))
    clients = [make(thread=3) for _ in range(3)]
    for n, client in enumerate(clients):
        track(client, OWN + n)
    assert server.wait_for(403)
    assert all([client.shutdown(10) for client in clients])  # noqa: C419  each of them
    assert sorted(sequence_numbers(server)) == [*range(400), OWN, OWN + 1, OWN + 2]
    assert server.duplicates == 0
    assert runs(folder) == []


# When it looks


def pause_of(client: Client) -> float:
    """Have a client deliver a batch of what is there; return when it looks again, in seconds."""
    upkeep: Any = client._router._pipelines[0]._upkeep  # noqa: SLF001  consumers do this
    adoption = upkeep.adoption
    adoption.run()
    pause: float = adoption._look_at - client.queue.clock.now()  # noqa: SLF001  the same
    return pause


def test_it_looks_every_30_seconds_but_not_all_processes_at_once(
    make: Callable[..., Client], folder: Path, server: LocalSegment
) -> None:
    client = make()
    pauses = [pause_of(client) for _ in range(100)]
    assert 23.9 < min(pauses) < 27
    assert 33 < max(pauses) <= 36
    leave(folder, 1)
    assert pause_of(client) <= 0  # there may be more
    assert sequence_numbers(server) == [1]
    assert 23.9 < pause_of(client) <= 36


@pytest.mark.parametrize(
    "status, headers, least, most",
    [(429, {"Retry-After": "250"}, 249, 250), (429, {}, 23.9, 36), (503, {}, 23.9, 36)],
)
def test_it_pauses_for_as_long_as_the_server_asks_or_longer_each_time(
    make: Callable[..., Client],
    folder: Path,
    server: LocalSegment,
    errors: Errors,
    status: int,
    headers: dict[str, str],
    least: float,
    most: float,
) -> None:
    leave(folder, 1, 2)
    server.respond(status, times=2, headers=headers)
    client = make()
    assert least <= pause_of(client) <= most
    assert len(server.requests) == 1
    assert max(least, 47.9) <= pause_of(client) <= max(most, 72)
    assert pause_of(client) <= 0
    assert sequence_numbers(server) == [1, 2]
    assert errors.calls == []


@pytest.mark.usefixtures("in_haste")
def test_it_pauses_while_the_messages_of_the_client_itself_are_rate_limited(
    make: Callable[..., Client], folder: Path, server: LocalSegment
) -> None:
    leave(folder, 1, 2)
    server.respond(429, headers={"Retry-After": "300"})
    client = make(max_rate_limit_duration=0)
    track(client, OWN)
    queue: Any = client.queue
    wait_until(lambda: queue.ledger.count_set_aside() == 1)
    time.sleep(0.3)  # several times as long as it takes to look again
    assert len(server.requests) == 1
    assert spool_stats(client).adopted == 0
    assert client.flush(10)
    assert server.wait_for(3)
    assert sequence_numbers(server) == [OWN, 1, 2]
