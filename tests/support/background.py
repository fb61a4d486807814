"""A call that may block, made on another thread so that a test can watch it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from segment_librato.delivery.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

__all__ = ["Background", "release_when_waited_for"]


class Background:
    """A call on another thread."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.result: object = None
        self._call = call
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.result = self._call()

    def is_running(self, seconds: float = 0.05) -> bool:
        self._thread.join(seconds)
        return self._thread.is_alive()

    def wait(self) -> object:
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.result


def release_when_waited_for(released: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set an event a while after a shutdown has begun to wait for reports of other threads."""
    wait = Pipeline._wait_for_reports  # noqa: SLF001  nothing else tells

    def wait_and_release(pipeline: Pipeline, seconds: float) -> None:
        threading.Timer(0.2, released.set).start()
        wait(pipeline, seconds)

    monkeypatch.setattr(Pipeline, "_wait_for_reports", wait_and_release)
