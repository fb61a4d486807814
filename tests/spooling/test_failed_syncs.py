"""A disk that does not hold what was written, for some time: somebody asks it again."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING

import pytest

from segment_librato import Client, SpoolConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOWHERE = "http://127.0.0.1:9"  # where nothing listens
FAILURES = 3


class Disk:
    """Fails some times, then works."""

    def __init__(self, error: int) -> None:
        self.left = FAILURES
        self.error = error
        self.works = threading.Event()
        self._really_sync = os.fsync

    def fsync(self, descriptor: int) -> None:
        if self.left:
            self.left -= 1
            raise OSError(self.error, os.strerror(self.error))
        self._really_sync(descriptor)
        self.works.set()


@pytest.fixture(params=[errno.EIO, errno.EMFILE], ids=["EIO", "EMFILE"])
def disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk(request.param)
    monkeypatch.setattr(os, "fsync", disk.fsync)
    return disk


@pytest.fixture
def client(tmp_path: Path, disk: Disk) -> Iterator[Client]:
    client = Client("key", NOWHERE, spool=SpoolConfig(tmp_path / "spool", fsync=0.01))
    yield client
    client.shutdown(0)


def test_a_sync_that_failed_is_tried_again_without_another_message(
    client: Client, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    client.track("user", "event")
    assert disk.works.wait(10)
    assert client.stats.spool
    assert client.stats.spool.errors == FAILURES
    (warning,) = [one for one in caplog.messages if "the spool in" in one]
    assert warning.endswith(f"does not work: {os.strerror(disk.error)}; messages stay in memory")


def test_without_a_keeper_a_flush_tries_again(tmp_path: Path, disk: Disk) -> None:
    client = Client("key", spool=SpoolConfig(tmp_path / "spool", fsync=0.01, deliver=False))
    client.track("user", "event")  # which syncs, as it is due
    assert [client.flush(10) for _ in range(FAILURES)] == [False, False, True]
    assert disk.works.is_set()
    client.shutdown(0)
