"""multiprocessing, Celery and gevent: processes and threads that Python's own hooks do not cover.

Children of `multiprocessing` (or of `multiprocess`, a fork of it that pathos uses) and Celery's
pool end without running `atexit`, so the drain is registered with each framework's own hook. None
of them is imported here: only if the application has loaded one is there anything to do.

Owns these hooks. Is handed the drain to run, and must not know what it does.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from segment_librato.foreign.interruption import being_handled, let_through
from segment_librato.process.fork import register_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "MultiprocessingHook",
    "call_last_in_child",
    "drain_with_celery",
    "ends_greenlet",
    "fsync_beside_greenlets",
    "is_child_of_multiprocessing",
    "is_patched_by_gevent",
    "resolve_without_threads",
    "spawn_if_in_hub",
]


MULTIPROCESSING = ("multiprocessing", "multiprocess")
LAST = -1_000  # a priority of finalizers


class MultiprocessingHook:
    """Runs the drain at the end of each process that `multiprocessing` or a fork of it started.

    Such a process runs finalizers instead of exit hooks.
    """

    def __init__(self, drain: Callable[[], None]) -> None:
        self._drain = drain
        self._registered: set[str] = set()  # the packages that tell us of their children
        self._finalized: set[str] = set()  # those that run the drain at the end of this process
        register_after_fork(self)

    def reset_after_fork(self) -> None:
        """Have no finalizer: `multiprocessing` drops all finalizers in a child."""
        self._finalized = set()

    def arm(self) -> bool:
        """Drain at the end of this process, if needed, and of the children it forks.

        Returns whether it is a child that drains at its end.
        """
        for package in MULTIPROCESSING:
            util = sys.modules.get(f"{package}.util")
            if util is None:
                continue
            if package not in self._registered:
                self._registered.add(package)
                add = partial(MultiprocessingHook._add_finalizer, package=package)
                util.register_after_fork(self, add)
            # billiard, Celery's fork of it, has children without a `parent_process`.
            process = sys.modules[f"{package}.process"]
            if process.parent_process() or process.current_process().name != "MainProcess":
                self._add_finalizer(package)
        return bool(self._finalized)

    def _add_finalizer(self, package: str) -> None:
        if package not in self._finalized:
            self._finalized.add(package)
            finalizer: Any = sys.modules[f"{package}.util"].Finalize
            finalizer(None, self._drain_after_threads, exitpriority=0)

    def _drain_after_threads(self) -> None:
        """Drain when the other threads have ended; `multiprocessing` would wait for them next."""
        for thread in threading.enumerate():
            if not thread.daemon and thread is not threading.current_thread():
                thread.join()
        self._drain()


def is_child_of_multiprocessing() -> bool:
    """Return whether `multiprocessing`, or a fork of it, started this process."""
    return any(True for _ in _packages_with_parent())


def call_last_in_child(call: Callable[[], None]) -> None:
    """If `multiprocessing` started this process, make a call after everything else at its end."""
    for package in _packages_with_parent():
        sys.modules[f"{package}.util"].Finalize(None, call, exitpriority=LAST)


def _packages_with_parent() -> Iterator[str]:
    for package in MULTIPROCESSING:
        process = sys.modules.get(f"{package}.process")
        if process and process.parent_process():
            yield package


def drain_with_celery(drain: Callable[..., None]) -> None:
    """Drain at the end of a process of Celery's pool, which runs no hooks and no finalizers."""
    if signals := sys.modules.get("celery.signals"):
        signals.worker_process_shutdown.connect(drain, weak=False)


def spawn_if_in_hub(function: Callable[..., object], *args: object) -> bool:
    """Run a function in a greenlet if the caller runs in gevent's hub; return whether it does.

    The hub runs all greenlets, so a wait in it would never end.
    """
    gevent = sys.modules.get("gevent")
    if gevent and is_patched_by_gevent() and gevent.getcurrent() is gevent.get_hub():
        gevent.spawn(function, *args)
        return True
    return False


def ends_greenlet(error: BaseException) -> bool:
    """Return whether an exception is the one by which gevent ends a greenlet."""
    greenlet = sys.modules.get("greenlet")
    return greenlet is not None and isinstance(error, greenlet.GreenletExit)


def fsync_beside_greenlets(descriptor: int) -> None:
    """Call `os.fsync`; in a process patched by gevent, let other greenlets run meanwhile.

    Not in the hub, nor in a call of the application, which must not switch to another greenlet.

    Raises:
        OSError: the disk does not hold it.
    """
    handled = being_handled()
    try:
        if not is_patched_by_gevent():
            error = _fsync(descriptor)
        else:
            pool = sys.modules["gevent"].get_hub().threadpool
            error = pool.apply(_fsync, (descriptor,))
    except RuntimeError as no_thread:  # the interpreter exits
        let_through(no_thread, handled)
        error = _fsync(descriptor)
    if error:
        raise error


def _fsync(descriptor: int) -> OSError | None:
    """Return the error instead of raising it, which gevent would print."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        return error
    return None


def resolve_without_threads() -> None:
    """Let gevent resolve host names itself: CPython 3.12 starts no threads during the exit."""
    if is_patched_by_gevent():
        hub = sys.modules["gevent"].get_hub()
        hub.resolver = importlib.import_module("gevent.resolver.blocking").Resolver(hub)


def is_patched_by_gevent() -> bool:
    """Return whether sockets and threads are gevent's."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("socket"))
