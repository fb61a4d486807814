"""What the tests of clients with a spool need."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from segment_librato import Client
from segment_librato.queue import patient_queue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.errors import Errors

    from segment_librato.devserver import LocalSegment


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def make(path: Path, server: LocalSegment, errors: Errors) -> Iterator[Callable[..., Client]]:
    """Make clients of the server with a spool; shut them down in the end."""
    made: list[Client] = []

    def make(write_key: str = "test-key", **options: Any) -> Client:
        options = {"host": server.host, "on_error": errors, "spool": str(path), **options}
        made.append(Client(write_key, **options))
        return made[-1]

    yield make
    server.release()
    for client in made:
        client.shutdown(timeout=0)


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have batches that were set aside come back soon."""
    monkeypatch.setattr(patient_queue, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(patient_queue, "MAX_PAUSE", 0.05)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the kind of each file that the disk is asked to hold."""
    paths: list[str] = []
    fsync = os.fsync

    def watch(descriptor: int) -> None:
        paths.append(Path(f"/proc/self/fd/{descriptor}").readlink().suffix)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    return paths
