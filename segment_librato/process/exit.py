"""The process: its exit, its forks and its end by SIGTERM.

The only module that touches `atexit`, `os.register_at_fork`, `multiprocessing` and `signal`.
Pipelines with something to deliver are known here and drained at exit; objects with locks or
connections are known here and made new in a forked child. Knows nothing of messages.
"""

from __future__ import annotations

import atexit
import importlib
import logging  # noqa: F401  see the end
import math
import os
import signal
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Protocol

from segment_librato.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

__all__ = [
    "Drainable",
    "Forkable",
    "call_before_fork",
    "drain_at_exit",
    "exit_elapsed",
    "flush_on_sigterm",
    "forget",
    "process",
    "renew_in_child",
]


class Drainable(Protocol):
    """What has to finish before the process ends."""

    def send_at_once(self) -> None:
        """Let all that waits leave at once; do not wait for it."""

    def finish_drain(self, elapsed: float) -> None:
        """Wait until it has left, in what is left of a time of which so many seconds are over."""

    def finish_flush(self, elapsed: float) -> None:
        """Wait as `finish_drain` does, and be ready for more."""

    def is_held_by_caller(self) -> bool:
        """Return whether the calling thread delivers, and so must not wait."""


class Forkable(Protocol):
    """What a forked child cannot use as it is."""

    def reset_after_fork(self) -> None:
        """Replace locks, threads and connections; take no lock, close and log nothing."""


class _Process:
    """What is known of this process; without a lock, as each change is a single operation.

    Attributes:
        exit_began: when the drain at exit did, by `time.monotonic`; None before.
    """

    def __init__(self) -> None:
        self.drainables: dict[int, Drainable] = {}
        self.before_fork: list[Callable[[], None]] = []
        self.forkables: weakref.WeakSet[Forkable] = weakref.WeakSet()
        self.exit_began: float | None = None
        self.has_finalizer = False
        self.is_known_to_multiprocessing = False
        self.sigterm_handlers: list[Any] = []  # those before ours, the latest last
        self.handed_on = 0  # so many of them are being called


process = _Process()


def drain_at_exit(drainable: Drainable) -> None:
    """Drain this object when the interpreter exits, unless it is forgotten before."""
    process.drainables[id(drainable)] = drainable
    _drain_with_multiprocessing()
    _drain_with_celery()


def forget(drainable: Drainable) -> None:
    """Let go of an object that has nothing left to deliver."""
    process.drainables.pop(id(drainable), None)


def exit_elapsed() -> float | None:
    """Return the seconds since the drain at exit began; None before."""
    return None if process.exit_began is None else time.monotonic() - process.exit_began


def renew_in_child(forkable: Forkable) -> None:
    """Make this object new in every child forked from now on, as long as it lives."""
    process.forkables.add(forkable)


def call_before_fork(call: Callable[[], None]) -> None:
    """Call this function before each fork from now on, on the thread that forks."""
    process.before_fork.append(call)


def flush_on_sigterm() -> None:
    """Have SIGTERM deliver what waits, for up to `exit_timeout` seconds, before it takes effect.

    Without it Python ends on SIGTERM without any exit hooks. It does afterwards what it did
    before: call the handler that was there, or end the process, which a second SIGTERM does at
    once. To be called in the main thread, after other handlers were set; again does no harm.

    Raises:
        ConfigError: it was called in another thread, or there is a handler not made in Python.
    """
    if threading.current_thread() is not threading.main_thread():
        raise ConfigError("flush_on_sigterm: expected to be called in the main thread")
    handler = signal.getsignal(signal.SIGTERM)
    if handler is None:
        raise ConfigError("flush_on_sigterm: expected a handler that Python can call")
    if handler is not _flush_and_go_on:
        process.sigterm_handlers.append(handler)
        signal.signal(signal.SIGTERM, _flush_and_go_on)


def _flush_and_go_on(number: int, frame: FrameType | None) -> None:
    gevent = sys.modules.get("gevent")
    if gevent and _is_patched_by_gevent() and gevent.getcurrent() is gevent.get_hub():
        gevent.spawn(_end, number, frame)  # the hub, which runs the greenlets, may not wait
    else:
        _end(number, frame)


def _end(number: int, frame: FrameType | None) -> None:
    """Deliver, then do what the handler before ours does.

    That may call ours again, if it was set after a first `flush_on_sigterm` and ours after it.
    """
    handlers = process.sigterm_handlers[: len(process.sigterm_handlers) - process.handed_on]
    handler = handlers[-1] if handlers else signal.SIG_DFL
    if handler is signal.SIG_DFL:
        _end_process(number)
        return
    try:
        _flush_all()
    finally:
        if callable(handler):
            process.handed_on += 1
            try:
                handler(number, frame)
            finally:
                process.handed_on -= 1


def _end_process(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    if any(drainable.is_held_by_caller() for drainable in process.drainables.values()):
        sys.exit(128 + number)  # it reports what it was sending, and the exit delivers the rest
    _drain_all()
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # the first process of a container outlives the signal


def _flush_all() -> None:
    began = time.monotonic()
    for drainable in _sending():
        drainable.finish_flush(time.monotonic() - began)


def _sending() -> list[Drainable]:
    """Return what has to finish, and have it begin."""
    drainables = list(process.drainables.values())
    for drainable in drainables:
        drainable.send_at_once()
    return drainables


def _drain_with_multiprocessing() -> None:
    """Drain at the end of a process that `multiprocessing` started; it runs no exit hooks."""
    if multiprocessing_util := sys.modules.get("multiprocessing.util"):
        if not process.is_known_to_multiprocessing:  # a forked child forgets all finalizers
            process.is_known_to_multiprocessing = True
            multiprocessing_util.register_after_fork(process, _add_finalizer)
        from multiprocessing import current_process, parent_process  # noqa: PLC0415  it is loaded

        # billiard, which is Celery's version of it, has children without a `parent_process`
        if parent_process() is not None or current_process().name != "MainProcess":
            _add_finalizer(process)


def _add_finalizer(process: _Process) -> None:
    if not process.has_finalizer:
        process.has_finalizer = True
        finalizer = sys.modules["multiprocessing.util"].Finalize
        finalizer(None, _drain_after_threads, exitpriority=0)


def _drain_with_celery() -> None:
    """Drain at the end of a process of Celery's pool; it runs no exit hooks and no finalizers."""
    if signals := sys.modules.get("celery.signals"):
        signals.worker_process_shutdown.connect(_drain_all, weak=False)


def _is_patched_by_gevent() -> bool:
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("socket"))


def _resolve_without_threads() -> None:
    """Have gevent look up names by itself: CPython 3.12 starts no threads for it at the exit."""
    if _is_patched_by_gevent():
        hub = sys.modules["gevent"].get_hub()
        hub.resolver = importlib.import_module("gevent.resolver.blocking").Resolver(hub)


def _drain_after_threads() -> None:
    """Drain when the other threads have ended, for which `multiprocessing` would wait next."""
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.current_thread():
            thread.join()
    _drain_all()


def _drain_all(**_of_signal: object) -> None:
    if process.exit_began is None:
        process.exit_began = time.monotonic()
    _resolve_without_threads()
    for drainable in _sending():
        try:
            drainable.finish_drain(time.monotonic() - process.exit_began)
        except KeyboardInterrupt:  # noqa: PERF203  whoever watches does not want to wait
            process.exit_began = -math.inf
            drainable.finish_drain(math.inf)
        except BaseException:  # noqa: BLE001, S110  an `on_error` that exits does not end the others
            pass


def _before_fork() -> None:
    for call in process.before_fork:
        call()


def _renew_all() -> None:
    process.exit_began = None
    process.has_finalizer = False
    process.drainables.clear()
    for forkable in list(process.forkables):
        forkable.reset_after_fork()


# Exit hooks run in the reverse order of their registration. Registered on import, this one runs
# after those of the application, and delivers what they track.
atexit.register(_drain_all)
# Hooks before a fork do so, too: ours is to be called before that of logging, which holds its lock
# from then on, and so has to be imported before.
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_before_fork, after_in_child=_renew_all)
