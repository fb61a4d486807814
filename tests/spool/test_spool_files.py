"""Files of a spool that somebody changes, or that cannot be read."""

from __future__ import annotations

import errno
import gc
import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.disk import failing
from support.script import sequence_numbers
from support.spooled_client import LONG, NOWHERE, files, folder_of, left_behind, spool_of, track
from support.waiting import wait_until

from segment_librato import (
    Client,
    ShutdownTimeoutError,
    SpoolConfig,
    SpoolCorruptError,
    SpoolExpiredError,
)
from segment_librato.queue import overflow as overflow_module
from segment_librato.queue import overflowing_queue
from segment_librato.spooling import lane as lane_module
from segment_librato.spooling import merged
from segment_librato.spooling.segment import WrittenSegment

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.errors import Errors

    from segment_librato.devserver import LocalSegment


def overflow(client: Client, server: LocalSegment) -> None:
    """Have ten messages sent, with no answer yet; ten in memory; and 30 on disk only."""
    track(client, range(10))
    assert server.wait_until(lambda: server.held == 1)
    track(client, range(10, 50))


@pytest.fixture
def overflowing(make: Callable[..., Client], path: Path, fast_polls: None) -> Client:
    config = SpoolConfig(path, fsync=None)
    return make(spool=config, max_queue_size=10, upload_size=10, upload_interval=LONG)


@pytest.fixture
def fast_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overflowing_queue, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(overflow_module, "MAX_FRUITLESS_SECONDS", 0.2)


def overflow_file(path: Path) -> Path:
    """Return the file that has what is on disk only: the younger one."""
    return max(path.rglob("*.seg"))


def test_of_files_that_somebody_deletes_memory_is_delivered_and_the_rest_fails(
    overflowing: Client,
    path: Path,
    server: LocalSegment,
    errors: Errors,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = overflowing
    with server.hold():
        overflow(client, server)
        gone = overflow_file(path)
        shutil.rmtree(path)
    assert client.flush(20)
    sent = client.stats.delivered
    assert sequence_numbers(server) == list(range(sent))
    assert sent >= 10
    assert client.stats[:5] == (50, sent, 50 - sent, 0, 0)
    ((error, messages),) = errors.calls
    assert isinstance(error, SpoolCorruptError)
    assert (error.path, error.bytes, error.lost, messages) == (str(gone), 0, 50 - sent, [])
    reason = f"somebody deleted or shortened what the spool has in use: {gone}"
    assert caplog.messages == [f"messages not delivered: {50 - sent}; {reason}"]
    track(client, range(50, 100))  # and nothing more is written to what is gone
    assert client.flush(20)
    assert sequence_numbers(server)[sent:] == list(range(50, 100))
    assert client.stats.pending == 0


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_what_somebody_puts_in_the_place_of_a_file_is_not_read(
    overflowing: Client, path: Path, server: LocalSegment, errors: Errors, kind: str
) -> None:
    client = overflowing
    with server.hold():
        overflow(client, server)
        file = overflow_file(path)
        if kind == "link":
            file.rename(path / "elsewhere")
            file.symlink_to(path / "elsewhere")
        else:
            file.unlink()
            file.mkdir()
    assert client.flush(20)
    ((error, _),) = errors.calls
    assert isinstance(error, SpoolCorruptError)
    assert (error.path, error.lost) == (str(file), client.stats.failed)
    assert client.stats.pending == 0


def test_several_files_that_somebody_deletes_are_told_of_once(
    overflowing: Client,
    path: Path,
    server: LocalSegment,
    errors: Errors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lane_module, "MAX_SEGMENT_BYTES", 600)
    client = overflowing
    with server.hold():
        overflow(client, server)
        run = overflow_file(path).parent
        shutil.rmtree(path)
    assert client.flush(20)
    ((error, _),) = errors.calls
    assert isinstance(error, SpoolCorruptError)
    assert (error.path, error.lost) == (str(run), client.stats.failed)
    assert client.stats.pending == 0


def test_of_a_file_that_somebody_shortens_the_rest_fails(
    overflowing: Client, path: Path, server: LocalSegment, errors: Errors
) -> None:
    client = overflowing
    with server.hold():
        overflow(client, server)
        file = overflow_file(path)
        os.truncate(file, 16)
    assert client.flush(20)
    ((error, messages),) = errors.calls
    assert isinstance(error, SpoolCorruptError)
    assert (error.path, messages) == (str(file), [])
    assert error.lost == client.stats.failed == 50 - len(sequence_numbers(server)) > 20
    assert client.stats.pending == 0
    wait_until(lambda: not list(path.rglob("*.seg")))


@pytest.mark.parametrize("is_movable", [True, False])
def test_damage_to_a_file_of_a_live_process_costs_only_what_was_in_it(
    overflowing: Client, path: Path, server: LocalSegment, errors: Errors, is_movable: bool
) -> None:
    client = overflowing
    with server.hold():
        overflow(client, server)
        file = overflow_file(path)
        size = file.stat().st_size
        data = bytearray(file.read_bytes())
        data[-1] ^= 1  # of the last message
        file.write_bytes(data)
        if not is_movable:
            (folder_of(path) / "quarantine").touch()
    assert client.flush(20)
    assert sequence_numbers(server) == list(range(49))
    ((error, messages),) = errors.calls
    assert isinstance(error, SpoolCorruptError)
    assert (error.lost, messages) == (1, [])
    assert client.stats[:5] == (50, 49, 1, 0, 0)
    assert client.stats.spool is not None
    assert client.stats.spool.quarantined == is_movable
    assert client.shutdown(10)
    if is_movable:
        moved = Path(error.path)
        assert moved.parent.name == "quarantine"
        assert moved.stat().st_size == error.bytes < size / 20
        assert files(path) == [moved]
    else:
        assert error.path == str(file)
        assert file.stat().st_size == size


def test_a_file_that_cannot_be_read_for_now_is_read_later(
    overflowing: Client,
    path: Path,
    server: LocalSegment,
    errors: Errors,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = overflowing

    with monkeypatch.context() as patch:
        patch.setattr(merged, "_open", failing(errno.EMFILE))
        with server.hold():
            overflow(client, server)
            file = overflow_file(path)
        assert not client.flush(0.3)
    reason = "Too many open files"
    assert caplog.messages == [f"the spool's file {file} cannot be read, and stays: {reason}"]
    assert client.flush(20)
    assert sorted(sequence_numbers(server)) == list(range(50))
    assert errors.calls == []


def test_a_file_whose_middle_cannot_be_read_for_now_is_read_on_from_there(
    overflowing: Client,
    path: Path,
    server: LocalSegment,
    errors: Errors,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = overflowing
    failed: list[bytes] = []
    advance = merged._Open.advance  # noqa: SLF001  where the disk is read

    def fail_at_35(opened: Any) -> int | None:
        number = advance(opened)
        if not failed and b'"n":35' in opened.payload.replace(b" ", b""):
            failed.append(opened.payload)
            raise OSError(errno.EIO, "Input/output error")
        return number

    monkeypatch.setattr(merged._Open, "advance", fail_at_35)  # noqa: SLF001  the same
    with server.hold():
        overflow(client, server)
        file = overflow_file(path)
    assert client.flush(20)
    reason = "Input/output error"
    assert caplog.messages == [f"the spool's file {file} cannot be read, and stays: {reason}"]
    assert len(failed) == 1
    assert sequence_numbers(server) == list(range(50))
    assert spool_of(client).errors == 1
    assert errors.calls == []
    assert client.shutdown(10)
    assert files(path) == []


def test_what_a_shutdown_would_leave_in_files_that_somebody_deleted_is_reported(
    make: Callable[..., Client], path: Path, errors: Errors, caplog: pytest.LogCaptureFixture
) -> None:
    client = make(
        host=NOWHERE, spool=SpoolConfig(path, fsync=None), max_queue_size=10, upload_interval=LONG
    )
    track(client, range(50))
    shutil.rmtree(path)
    with caplog.at_level(logging.INFO, "segment"):
        assert not client.shutdown(0)
    assert client.stats[:5] == (50, 0, 50, 0, 0)
    by_type = {type(error): len(messages) for error, messages in errors.calls}
    (lost,) = [error.lost for error, _ in errors.calls if isinstance(error, SpoolCorruptError)]
    assert by_type == {SpoolCorruptError: 0, ShutdownTimeoutError: 50 - lost}
    assert not [line for line in caplog.messages if " wait in " in line]


def test_a_client_that_only_writes_reports_at_the_end_what_somebody_deleted(
    make: Callable[..., Client], path: Path, errors: Errors
) -> None:
    client = make(spool=SpoolConfig(path, deliver=False))
    track(client, range(10))
    shutil.rmtree(path)
    client.shutdown()
    ((error, messages),) = errors.calls
    assert isinstance(error, SpoolCorruptError)
    assert (error.lost, messages) == (10, [])
    assert client.stats[:5] == (10, 0, 10, 0, 0)


def test_a_client_that_only_writes_does_not_grow_with_its_files(
    make: Callable[..., Client], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "MAX_SEGMENT_BYTES", 100)  # a message each
    monkeypatch.setattr(overflow_module, "MAX_WATCHED", 5)
    client = make(spool=SpoolConfig(path, deliver=False, fsync=None))
    track(client, range(50))
    assert len(files(path)) == 1 + 50  # with the lock
    kept = [one for one in gc.get_objects() if type(one) is WrittenSegment]  # proxies may raise
    assert len([one for one in kept if path in one.path.parents]) <= 5 + 1


def test_what_nobody_can_find_is_left(
    overflowing: Client, path: Path, server: LocalSegment
) -> None:
    """As by a thread that writes while the exit gives up, and tracks once more."""
    client = overflowing
    with server.hold():
        overflow(client, server)
        queue: Any = client.queue
        idle = queue._overflow.lane._idle  # noqa: SLF001  to stop a call in the middle of a write
        segment = idle.pop()
        queue.abandon([])
        idle.append(segment)
        track(client, range(50, 61))
    assert client.flush(10)
    assert client.stats.pending == 51
    assert client.shutdown(10)
    assert left_behind(path) == [*range(50), 60]


def test_a_file_that_somebody_deletes_while_it_is_written_is_not_written_on(
    make: Callable[..., Client], path: Path, server: LocalSegment, caplog: pytest.LogCaptureFixture
) -> None:
    client = make(spool=SpoolConfig(path, fsync=0.01), upload_interval=LONG)
    track(client, range(1))
    run = overflow_file(path).parent
    shutil.rmtree(path)
    track(client, range(1, 2))
    wait_until(lambda: bool(caplog.messages))
    assert caplog.messages == [
        f"somebody deleted {run}, which was in use; what is in memory is delivered all the same"
    ]
    track(client, range(2, 3))
    assert len(list(path.rglob("*.seg"))) == 1
    assert client.flush(10)
    assert sequence_numbers(server) == [0, 1, 2]


@pytest.mark.usefixtures("short_pauses")
def test_what_is_too_old_is_reported(
    make: Callable[..., Client], path: Path, errors: Errors
) -> None:
    config = SpoolConfig(path, max_age=0.05)
    client = make(host=NOWHERE, spool=config, max_retries=0)
    track(client, range(10))
    assert client.flush(20)
    assert errors.types == [SpoolExpiredError]
    assert client.stats[:5] == (10, 0, 10, 0, 0)


def test_what_becomes_too_old_while_it_is_set_aside_is_reported_then(
    make: Callable[..., Client], path: Path, errors: Errors
) -> None:
    """And not when it is its turn, after a minute."""
    client = make(host=NOWHERE, spool=SpoolConfig(path, max_age=1), max_retries=0)
    track(client, range(10))
    wait_until(lambda: errors.calls != [])
    assert errors.types == [SpoolExpiredError]
    wait_until(lambda: client.stats[:5] == (10, 0, 10, 0, 0))


def test_what_becomes_too_old_between_retries_is_reported_then(
    make: Callable[..., Client], path: Path, server: LocalSegment, errors: Errors
) -> None:
    server.respond(429, times=None, headers={"Retry-After": "60"})
    client = make(spool=SpoolConfig(path, max_age=1))
    track(client, range(10))
    wait_until(lambda: errors.calls != [])
    assert errors.types == [SpoolExpiredError]
    wait_until(lambda: client.stats[:5] == (10, 0, 10, 0, 0))
    assert len(server.requests) == 1
