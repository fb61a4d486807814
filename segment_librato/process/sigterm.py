"""SIGTERM: deliver what waits, then do what the signal would have done without us.

Of what a client uses, only this and `late_signals` touch `signal`. Must not know messages.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from segment_librato.errors import ConfigError
from segment_librato.foreign.interruption import is_interruption
from segment_librato.process.clock import monotonic
from segment_librato.process.exit import begin_drain, called_from_delivery, drain_all
from segment_librato.process.frameworks import (
    call_last_in_child,
    is_child_of_multiprocessing,
    is_patched_by_gevent,
    spawn_if_in_hub,
)
from segment_librato.process.late_signals import Repeater

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    Handler: TypeAlias = Callable[[int, FrameType | None], object] | int

__all__ = ["flush_on_sigterm", "flush_on_sigterm_in_child"]


class _Handlers:
    """The handlers that were set before ours, the latest last."""

    def __init__(self) -> None:
        self.earlier: list[Handler] = []
        self.running = 0  # how many of them are being called

    def next(self) -> Handler:
        """Return the handler to call: the one before those that are running."""
        waiting = self.earlier[: len(self.earlier) - self.running]
        return waiting[-1] if waiting else signal.SIG_DFL


_handlers = _Handlers()


def flush_on_sigterm() -> None:
    """On SIGTERM, deliver what waits for up to `exit_timeout` seconds, then let it take effect.

    Without this, Python ends on SIGTERM without running exit hooks. Afterwards the handler that
    was set before is called, or the process ends by the signal; a second SIGTERM ends it at once.
    Call it in the main thread, after other handlers are set. Calling it again does no harm.

    Raises:
        ConfigError: called in another thread, or the current handler was not set from Python.
    """
    if threading.current_thread() is not threading.main_thread():
        raise ConfigError("flush_on_sigterm: expected to be called in the main thread")
    handler = signal.getsignal(signal.SIGTERM)
    if handler is None:
        raise ConfigError("flush_on_sigterm: expected a handler that Python can call")
    if handler is not _flush_and_continue:
        _handlers.earlier.append(handler)
        signal.signal(signal.SIGTERM, _flush_and_continue)


def flush_on_sigterm_in_child() -> bool:
    """Call `flush_on_sigterm` if `multiprocessing` started this process and SIGTERM is default.

    `Pool.terminate`, and so the end of `with Pool()`, stop idle processes by this signal, and wait
    for them without a limit: so it is sent again if the handler is late. Returns False if all this
    has to be tried again, on the main thread.
    """
    handler = signal.getsignal(signal.SIGTERM)
    is_free = handler is signal.SIG_DFL or handler is _flush_and_continue  # set before the fork
    if not is_free or not is_child_of_multiprocessing():
        return True
    if threading.current_thread() is not threading.main_thread():
        return False
    try:
        flush_on_sigterm()
        if not is_patched_by_gevent():  # its hub looks for signals by itself
            _repeater.start()
    except ValueError as error:  # it is the main thread of a subinterpreter
        if is_interruption(error):
            raise
    return True


def _flush_and_continue(number: int, frame: FrameType | None) -> None:
    if _repeater.begin() and not spawn_if_in_hub(_terminate, number, frame):
        _terminate(number, frame)


_repeater = Repeater(signal.SIGTERM, _flush_and_continue)


def _terminate(number: int, frame: FrameType | None) -> None:
    """Deliver, then do what the handler before ours does.

    That one may call ours again, if it was set after a first `flush_on_sigterm` and before a
    second.
    """
    handler = _handlers.next()
    if handler is signal.SIG_DFL:
        _end_process(number)
        return
    try:
        _flush_all()
    finally:
        if callable(handler):
            _handlers.running += 1
            try:
                handler(number, frame)
            finally:
                _handlers.running -= 1


def _end_process(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    if called_from_delivery():
        call_last_in_child(partial(os.kill, os.getpid(), number))  # a parent expects this status
        sys.exit(128 + number)  # reports what was being sent; the exit delivers the rest
    drain_all()
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # the first process of a container survives the signal


def _flush_all() -> None:
    began = monotonic()
    for drainable in begin_drain():
        drainable.finish_flush(monotonic() - began)
