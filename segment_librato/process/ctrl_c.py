"""Ctrl-C or SIGTERM as a request to come to an end, instead of an end at any line.

Must not know what comes to an end.
"""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager
    from types import FrameType

__all__ = ["on_ctrl_c", "on_sigterm"]


def on_ctrl_c(call: Callable[[int], object]) -> AbstractContextManager[None]:
    """Have Ctrl-C call something, with how often it has come by then; on the main thread only.

    It is left alone if the process ignores it, as a shell has its background jobs do.
    """
    return _on(signal.SIGINT, signal.default_int_handler, call)


def on_sigterm(call: Callable[[int], object]) -> AbstractContextManager[None]:
    """Do the same with SIGTERM, by which systemd, Kubernetes and `timeout` end a process."""
    return _on(signal.SIGTERM, signal.SIG_DFL, call)


@contextmanager
def _on(
    number: signal.Signals, default: object, call: Callable[[int], object]
) -> Generator[None, None, None]:
    before = signal.getsignal(number)
    if before is not default:
        yield
        return
    times = 0

    def handle(_: int, __: FrameType | None) -> None:
        nonlocal times
        times += 1
        call(times)

    signal.signal(number, handle)
    try:
        yield
    finally:
        signal.signal(number, before)
