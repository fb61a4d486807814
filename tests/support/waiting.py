"""How a test waits for what another thread or process does, when nothing tells it."""

from __future__ import annotations

import inspect
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from segment_librato.process.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PATIENCE", "wait_until"]

PATIENCE = 60.0  # seconds, for a machine that is loaded
PAUSE = 0.002  # seconds, which the other thread needs


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds; fail, and show the condition, if it takes too long."""
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline, f"waited {PATIENCE:.0f} s for {_source_of(condition)}"
        time.sleep(PAUSE)


def _source_of(condition: Callable[[], object]) -> str:
    with suppress(OSError, TypeError):  # code without a file, or no function
        return inspect.getsource(condition).strip()
    return repr(condition)
