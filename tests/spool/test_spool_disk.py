"""A disk that fails, or is asked to confirm."""

from __future__ import annotations

import errno
import os
import signal
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest
from support.disk import failing
from support.interruptions import interrupted
from support.script import sequence_numbers
from support.spooled_client import (
    LONG,
    NOWHERE,
    fail_to_write,
    files,
    folder_of,
    leave,
    left_behind,
    spool_of,
    track,
)
from support.waiting import wait_until

from segment_librato import Client, ConfigError, QueueFullError, SpoolConfig
from segment_librato.delivery.consumer import Consumer
from segment_librato.delivery.keeper import Keeper
from segment_librato.process.clock import monotonic
from segment_librato.spooling import spool as spool_module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.errors import Errors

    from segment_librato.devserver import LocalSegment


# Trouble


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EMFILE])
def test_what_cannot_be_written_stays_in_memory(
    make: Callable[..., Client],
    path: Path,
    server: LocalSegment,
    errors: Errors,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    client = make(upload_interval=LONG)
    with monkeypatch.context() as patch:
        failed = fail_to_write(patch, number)
        assert all(track(client, range(10)))
        assert len(failed) == 1
    reason = os.strerror(number)
    folder = folder_of(path)
    assert caplog.messages == [
        f"the spool in {folder} does not work: {reason}; messages stay in memory"
    ]
    assert all(track(client, range(10, 20)))
    assert client.stats.spool is not None
    assert client.stats.spool.errors == 1
    assert client.stats.spool.bytes == 0
    monkeypatch.setattr(spool_module, "monotonic", lambda: monotonic() + 31)
    assert all(track(client, range(20, 30)))
    assert caplog.messages[1:] == [f"the spool in {folder} works again"]
    assert client.stats.spool.bytes > 0
    assert client.shutdown(10)
    assert sequence_numbers(server) == list(range(30))
    assert errors.calls == []
    assert files(path) == []


def test_what_is_only_in_memory_is_reported_at_the_end(
    make: Callable[..., Client], path: Path, errors: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(host=NOWHERE, upload_interval=LONG)
    track(client, range(5))
    with monkeypatch.context() as patch:
        fail_to_write(patch, errno.ENOSPC)
        track(client, range(5, 8))
    leave(client, 0.1)
    assert [len(messages) for _, messages in errors.calls] == [3]
    assert client.stats[:5] == (8, 0, 3, 0, 5)
    assert left_behind(path) == list(range(5))


def test_while_it_cannot_be_written_memory_is_bounded(
    make: Callable[..., Client],
    server: LocalSegment,
    errors: Errors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = make(max_queue_size=10, upload_interval=LONG, upload_size=100)
    with server.hold(), monkeypatch.context() as patch:
        fail_to_write(patch, errno.ENOSPC)
        accepted = track(client, range(100))
        assert 10 <= sum(accepted) <= 30
        assert set(errors.types) == {QueueFullError}
    assert client.flush(10)
    assert len(sequence_numbers(server)) == sum(accepted)


def test_an_alarm_in_the_middle_of_a_write_reaches_the_caller(
    make: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make()
    track(client, range(1))

    def handler(number: int, frame: object) -> None:
        raise TimeoutError("the time is up")

    def write(descriptor: int, data: bytes) -> int:
        signal.raise_signal(signal.SIGUSR1)
        return len(data)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with monkeypatch.context() as patch:
            patch.setattr("segment_librato.spooling.lane.write", write)
            with pytest.raises(TimeoutError, match="the time is up"):
                track(client, range(1, 2))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert client.stats.spool is not None
    assert client.stats.spool.errors == 0
    assert track(client, range(2, 3)) == [True]


@pytest.mark.parametrize("window", [5, 10_000])
def test_calls_that_a_signal_handler_ends_anywhere_leave_the_sums_right_and_no_file(
    make: Callable[..., Client], path: Path, server: LocalSegment, window: int
) -> None:
    client = make(max_queue_size=window, upload_interval=LONG, upload_size=1000)
    client.track("user", "event", {"n": -1})
    with server.hold():
        returned = [
            n for n in range(1500) if not interrupted(partial(track, client, [n]), n % 250 + 1)
        ]
    assert len(returned) < 1400
    assert client.flush(20)
    stats = client.stats
    assert stats.accepted == stats.delivered == len(sequence_numbers(server))
    assert set(sequence_numbers(server)) >= {*returned}
    assert len({*sequence_numbers(server)}) == len(sequence_numbers(server))
    assert stats.pending == 0
    assert client.shutdown(10)
    assert files(path) == []


def test_a_folder_that_was_removed_is_made_again(
    make: Callable[..., Client], path: Path, server: LocalSegment
) -> None:
    client = make()
    track(client, range(10))
    assert client.flush(10)
    wait_until(lambda: not list(path.rglob("*.seg")))
    for run in path.glob("*/*.run"):
        for file in run.iterdir():
            file.unlink()
        run.rmdir()
    track(client, range(10, 20))
    assert client.stats.spool is not None
    assert client.stats.spool.errors == 0
    assert client.shutdown(10)
    assert sequence_numbers(server) == list(range(20))


@pytest.mark.parametrize("spool", ["{path}", "{path}/below"])
def test_a_path_that_cannot_be_made_is_rejected(tmp_path: Path, spool: str) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ConfigError, match=r"^spool: cannot make or read the folder .*/file"):
        Client("test-key", spool=spool.format(path=file))


def test_nothing_is_opened_for_a_client_that_sends_nothing(path: Path) -> None:
    Client("test-key", send=False, spool=path).track("user", "event")
    Client("", spool=path).track("user", "event")
    assert not path.exists()


# Power loss


def test_each_call_waits_for_the_disk_if_that_is_wanted(
    make: Callable[..., Client], path: Path, synced: list[str]
) -> None:
    client = make(spool=SpoolConfig(path, fsync=0), upload_interval=LONG)
    track(client, range(10))
    assert synced.count(".seg") == 10
    assert synced.count(".run") == 1


@pytest.mark.parametrize("window", [1, 10_000])
def test_what_the_disk_does_not_confirm_is_sent_once(
    make: Callable[..., Client],
    path: Path,
    server: LocalSegment,
    monkeypatch: pytest.MonkeyPatch,
    window: int,
) -> None:
    client = make(
        spool=SpoolConfig(path, fsync=0), upload_interval=LONG, upload_size=5, max_queue_size=window
    )
    with server.hold(), monkeypatch.context() as patch:
        track(client, range(5))  # nothing is delivered yet, so that no file is deleted

        patch.setattr(os, "fsync", failing(errno.EIO))
        assert all(track(client, range(5, 6)))
    assert client.stats.spool is not None
    assert client.stats.spool.errors >= 1
    accepted = [*range(6), *(n for n in range(6, 10) if track(client, [n])[0])]
    assert client.flush(10)
    assert sorted(sequence_numbers(server)) == accepted
    assert client.stats.delivered == len(accepted)
    assert client.stats.pending == 0


def test_nobody_asks_for_the_disk_if_that_is_wanted(
    make: Callable[..., Client], path: Path, synced: list[str]
) -> None:
    client = make(spool=SpoolConfig(path, fsync=None))
    track(client, range(10))
    assert client.shutdown(10)
    assert synced == []


def test_the_disk_is_asked_in_the_background_and_only_after_a_message(
    make: Callable[..., Client], path: Path, server: LocalSegment, synced: list[str]
) -> None:
    client = make(spool=SpoolConfig(path, fsync=0.02), upload_interval=LONG)
    with server.hold():
        track(client, range(1))
        wait_until(lambda: len(synced) == 5)
        assert synced == [".seg", ".run", "", "", ""]  # and once the folders that it is in
        time.sleep(0.1)  # several times as long as it takes to ask again
        assert len(synced) == 5
        track(client, range(1, 2))
        wait_until(lambda: len(synced) == 7)


def test_the_disk_is_asked_again_after_it_has_failed(
    make: Callable[..., Client], path: Path, server: LocalSegment, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(spool=SpoolConfig(path, fsync=0.02), upload_interval=LONG)
    synced: list[int] = []

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(errno.EIO))
        track(client, range(10))
        wait_until(lambda: spool_of(client).errors == 1)
    monkeypatch.setattr(spool_module, "monotonic", lambda: monotonic() + 31)
    monkeypatch.setattr(os, "fsync", synced.append)
    track(client, range(10, 20))
    wait_until(lambda: len(synced) > 1)  # the file, and the folders


def test_a_client_that_only_writes_asks_for_the_disk_in_a_call(
    make: Callable[..., Client], path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(spool=SpoolConfig(path, fsync=0.5, deliver=False))
    track(client, range(10))
    assert synced == [".seg", ".run", "", "", ""]
    monkeypatch.setattr(spool_module, "monotonic", lambda: monotonic() + 1)
    track(client, range(10, 20))
    assert synced[5:] == [".seg", ".run"]
    client.shutdown()
    assert len(synced) == 9


@pytest.mark.usefixtures("no_threads")
def test_without_a_thread_calls_ask_for_the_disk(
    make: Callable[..., Client], path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(host=NOWHERE, spool=SpoolConfig(path, fsync=0.5))
    track(client, range(10))
    assert synced == [".seg", ".run", "", "", ""]
    monkeypatch.setattr(spool_module, "monotonic", lambda: monotonic() + 1)
    track(client, range(10, 20))
    assert synced[5:] == [".seg", ".run"]
    assert not client.flush(0)
    assert synced[7:] == [".seg", ".run"]


def fail_to_start(_: Keeper | Consumer) -> None:
    raise RuntimeError("can't start new thread")


def test_without_a_keeper_calls_ask_for_the_disk(
    make: Callable[..., Client],
    path: Path,
    server: LocalSegment,
    synced: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There may be a thread for the consumer, and none for the keeper."""
    monkeypatch.setattr(Keeper, "start", fail_to_start)
    client = make(spool=SpoolConfig(path, fsync=0.5), upload_interval=LONG)
    track(client, range(10))
    assert synced == [".seg", ".run", "", "", ""]
    monkeypatch.setattr(spool_module, "monotonic", lambda: monotonic() + 1)
    track(client, range(10, 20))
    assert synced[5:] == [".seg", ".run"]
    assert client.flush(10)
    assert sequence_numbers(server) == list(range(20))


@pytest.mark.parametrize("starts", [True, False])
def test_a_call_leaves_the_disk_to_the_keeper_once_it_runs_whether_or_not_a_consumer_starts(
    make: Callable[..., Client],
    path: Path,
    synced: list[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    starts: bool,
) -> None:
    client = make(spool=SpoolConfig(path, fsync=LONG), upload_interval=LONG)
    (pipeline,) = client._router._pipelines  # noqa: SLF001  to start what is missing
    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "start", fail_to_start)
        track(client, [0])
    assert synced == [".seg", ".run", "", "", ""]
    pipeline._start_consumers()  # noqa: SLF001
    with monkeypatch.context() as patch:
        if not starts:
            patch.setattr(Consumer, "start", fail_to_start)
        pipeline._start_consumers()  # noqa: SLF001
    monkeypatch.setattr(spool_module, "monotonic", lambda: monotonic() + LONG + 1)
    track(client, [1])
    assert len(synced) == 5


@pytest.mark.parametrize("fsync", [0, 0.5])
def test_a_disk_that_takes_messages_and_does_not_sync_them_is_told_of_once(
    make: Callable[..., Client],
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fsync: float,
) -> None:
    later = 0
    monkeypatch.setattr(spool_module, "monotonic", lambda: monotonic() + later)
    client = make(spool=SpoolConfig(path, fsync=fsync, deliver=False))
    track(client, [0])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(errno.EIO))
        for later in (1, 32, 63):
            track(client, range(later, later + 10))
            assert len(caplog.messages) == 1
            assert spool_of(client).errors == 1 + later // 31
    later = 94
    track(client, [100])
    assert caplog.messages[1:] == [f"the spool in {folder_of(path)} works again"]
