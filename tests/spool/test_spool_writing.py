"""A client that only writes to a spool, and leaves delivery to others."""

from __future__ import annotations

import asyncio
import errno
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.spooled_client import (
    LONG,
    NOWHERE,
    fail_to_write,
    files,
    left_behind,
    run_script,
    track,
)

from segment_librato import Client, QueueFullError, SpoolConfig
from segment_librato.process.clock import monotonic
from segment_librato.queue.spooled_queue import SpooledQueue
from segment_librato.spooling import spool as spool_module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.errors import Errors


def test_a_call_that_is_interrupted_at_once_leaves_the_exit_to_the_next_one(
    make: Callable[..., Client], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(spool=SpoolConfig(path, deliver=False))
    (pipeline,) = client._router._pipelines  # noqa: SLF001  it registers for the exit
    interruptions = iter([KeyboardInterrupt])

    def hook_in() -> None:
        for interruption in interruptions:
            raise interruption

    monkeypatch.setattr(pipeline, "hook_in", hook_in)
    with pytest.raises(KeyboardInterrupt):
        track(client, [0])
    assert client.queue.is_unserved
    assert track(client, [1]) == [True]
    assert not client.queue.is_unserved


def test_after_a_shutdown_nothing_is_written_that_was_in_memory(
    make: Callable[..., Client], path: Path
) -> None:
    client = make(spool=SpoolConfig(path, deliver=False))
    client.shutdown()
    queue = client.queue
    assert isinstance(queue, SpooledQueue)
    queue.unwritten.add(b"{}")  # by a call that began before
    assert track(client, [0]) == [False]
    assert files(path) == []


def test_what_a_call_accepts_in_memory_during_a_shutdown_is_reported_at_the_exit(
    path: Path,
) -> None:
    script = """
        import errno
        from segment_librato.spooling import lane
        client = make(spool=SpoolConfig(path, deliver=False))
        def shut_down_and_fail(*_):
            client.shutdown()
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        lane.write = shut_down_and_fail
        track(client, [0])
        assert client.stats.pending == 1, client.stats
        print("exit")
    """
    _, at_the_exit = run_script(path, script).split("exit\n")
    assert at_the_exit.startswith("on_error ShutdownTimeoutError 1\n")
    assert "time ran out before delivery; the disk did not take them\n" in at_the_exit
    assert left_behind(path) == []


def test_a_client_that_only_writes_has_no_thread_and_imports_no_http(path: Path) -> None:
    script = """
        client = make(spool=SpoolConfig(path, deliver=False))
        track(client, range(100))
        assert client.flush()
        assert threading.active_count() == 1
        assert not {"requests", "urllib3", "http.client"} & set(sys.modules)
        stats = client.stats
        assert (stats.accepted, stats.pending) == (100, 100), stats
        assert stats.spool.segments == 1
        track(client, range(100, 200))
    """
    output = run_script(path, script)
    assert output.startswith("messages: 200 wait in ")
    assert left_behind(path) == list(range(200))


def test_a_client_that_only_writes_keeps_in_memory_what_it_cannot_write(
    make: Callable[..., Client], path: Path, errors: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(spool=SpoolConfig(path, deliver=False))
    track(client, range(2))
    with monkeypatch.context() as patch:
        fail_to_write(patch, errno.ENOSPC)
        assert all(track(client, range(2, 4)))
        assert not client.flush()
        assert client.stats[:5] == (4, 0, 0, 0, 4)
    monkeypatch.setattr(spool_module, "monotonic", lambda: monotonic() + 31)
    assert client.flush()
    assert client.stats[:5] == (4, 0, 0, 0, 4)
    assert client.shutdown()
    assert sorted(left_behind(path)) == list(range(4))
    assert errors.calls == []


def test_a_client_that_only_writes_writes_what_waits_when_the_disk_works_again(path: Path) -> None:
    script = """
        import errno
        from segment_librato.spooling import lane
        client = make(spool=SpoolConfig(path, deliver=False))
        write, spool = lane.write, client.queue.spool
        def fail(*_):
            raise OSError(errno.ENOSPC, "No space left on device")
        lane.write = fail
        track(client, range(10))
        lane.write, spool._retry_at = write, 1e-9  # there is room again, and it is time to look
        track(client, [10])
        os.kill(os.getpid(), signal.SIGKILL)
    """
    run_script(path, script, -signal.SIGKILL)
    assert left_behind(path) == list(range(11))


def test_each_call_writes_a_batch_of_what_waits_at_most_and_keeps_the_order(
    make: Callable[..., Client], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(spool=SpoolConfig(path, deliver=False), upload_size=10)
    queue: Any = client.queue
    now = monotonic()
    monkeypatch.setattr(spool_module, "monotonic", lambda: now)
    with monkeypatch.context() as patch:
        failed = fail_to_write(patch, errno.ENOSPC)
        assert all(track(client, range(25)))
        assert len(failed) == 1
        now += 31
        assert all(track(client, range(25, 27)))
        assert len(failed) == 2
    now += 31
    written = 0
    for _ in range(2):
        assert all(track(client, [0]))
        records = queue.unwritten._lane._idle[0].records  # noqa: SLF001  with the oldest
        assert records - written == 10
        written = records
    assert client.stats[:5] == (29, 0, 0, 0, 29)
    assert not queue.is_settled()
    assert client.flush()
    assert not queue.unwritten.messages  # the memory is free
    assert client.stats[:5] == (29, 0, 0, 0, 29)
    assert client.shutdown()
    assert left_behind(path) == [*range(10), 0, *range(10, 20), 0, *range(20, 27)]


def test_a_client_that_only_writes_rejects_what_a_full_spool_has_no_room_for(
    make: Callable[..., Client], path: Path, errors: Errors
) -> None:
    client = make(spool=SpoolConfig(path, max_bytes=1024 * 1024, deliver=False))
    calls = [client.track("user", "event", {"n": n, "text": "x" * 10_000}) for n in range(120)]
    accepted = [message["properties"]["n"] for is_accepted, message in calls if is_accepted]
    rejected = [message["messageId"] for is_accepted, message in calls if not is_accepted]
    assert len(accepted) > 90
    assert set(errors.types) == {QueueFullError}
    assert errors.message_ids == rejected != []
    assert client.stats[:5] == (len(accepted), 0, 0, len(rejected), len(accepted))
    assert client.shutdown()
    assert left_behind(path) == accepted


def test_a_client_that_only_writes_flushes_an_event_loop_without_a_thread(
    make: Callable[..., Client], path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(spool=SpoolConfig(path, fsync=LONG, deliver=False))
    threads = threading.active_count()
    track(client, range(2))
    synced.clear()
    track(client, range(2, 4))
    assert asyncio.run(client.aflush(0))
    assert synced == [".seg", ".run"]
    with monkeypatch.context() as patch:
        fail_to_write(patch, errno.ENOSPC)
        track(client, range(4, 6))
        assert not asyncio.run(client.aflush(0))
    monkeypatch.setattr(spool_module, "monotonic", lambda: monotonic() + 31)
    assert asyncio.run(client.aflush(0))
    assert threading.active_count() == threads
    assert client.shutdown()
    assert sorted(left_behind(path)) == list(range(6))


@pytest.mark.parametrize(
    "end, status",
    [
        ("signal.signal(signal.SIGTERM, lambda *_: os._exit(3))", 3),  # the handler of a framework
        ("pass", -signal.SIGTERM),
    ],
    ids=["with a handler", "without one"],
)
def test_a_client_that_only_writes_has_sigterm_write_what_is_only_in_memory(
    path: Path, end: str, status: int
) -> None:
    script = f"""
        import errno
        import segment_librato
        from segment_librato.spooling import lane
        {end}
        segment_librato.flush_on_sigterm()
        client = make(spool=SpoolConfig(path, deliver=False))
        write, spool = lane.write, client.queue.spool
        def fail(*_):
            raise OSError(errno.ENOSPC, "No space left on device")
        lane.write = fail
        track(client, range(10))
        assert spool.is_in_trouble
        lane.write, spool._retry_at = write, 1e-9  # there is room again, and it is time to look
        os.kill(os.getpid(), signal.SIGTERM)
    """
    run_script(path, script, status)
    assert left_behind(path) == list(range(10))


@pytest.mark.parametrize("delivers", [True, False])
def test_a_call_does_not_wait_for_another_thread_to_look_how_much_there_is(
    make: Callable[..., Client], path: Path, monkeypatch: pytest.MonkeyPatch, *, delivers: bool
) -> None:
    client = make(spool=SpoolConfig(path, deliver=delivers), host=NOWHERE)
    look, accepted = spool_module._entries, []  # noqa: SLF001  what takes long in a large folder

    def look_slowly(folder: Any) -> Any:
        monkeypatch.setattr(spool_module, "_entries", look)
        other = threading.Thread(target=lambda: accepted.extend(track(client, range(1, 2))))
        other.start()
        other.join(10)
        return look(folder)

    monkeypatch.setattr(spool_module, "_entries", look_slowly)
    accepted += track(client, range(1))
    assert accepted == [True, True]
    assert client.stats.rejected == 0
