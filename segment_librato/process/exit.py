"""The exit: pipelines with something to deliver are drained before the interpreter ends.

One budget counts for all of them: it starts with the drain, and a later delivery, such as one for
a call made by another exit hook, gets what is left of it.

Must not know messages, or what draining means.
"""

from __future__ import annotations

import atexit
import math
import time
from typing import TYPE_CHECKING, Protocol

from segment_librato.log import log
from segment_librato.process.fork import register_after_fork
from segment_librato.process.frameworks import (
    MultiprocessingHook,
    drain_with_celery,
    resolve_without_threads,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Drainable",
    "begin_drain",
    "called_from_delivery",
    "drain_all",
    "exit_state",
    "hook_into_frameworks",
    "register_at_exit",
    "unregister_at_exit",
]

TIME_IS_UP = math.inf
MAX_INTERRUPTIONS = 100  # of one object's drain; after that, its `on_error` seems to exit always


class Drainable(Protocol):
    """Something that has to finish before the process ends."""

    def send_at_once(self) -> None:
        """Start sending everything that waits; do not wait for it."""

    def finish_drain(self, elapsed: float) -> None:
        """Deliver what waits, end the threads, report the rest.

        Args:
            elapsed: seconds of the budget that have passed.
        """

    def finish_flush(self, elapsed: float) -> None:
        """Deliver what waits as `finish_drain` does, and stay ready for more."""

    def called_from_delivery(self) -> bool:
        """Return whether the calling thread delivers, and so must not wait for itself."""


class _ExitState:
    """What this process knows of its exit. No lock: each change is a single operation."""

    def __init__(self) -> None:
        self.drainables: dict[int, Drainable] = {}
        self.began: float | None = None  # when the drain did, by `time.monotonic`
        self.was_cut_short: bool = False  # by Ctrl-C
        self.multiprocessing: MultiprocessingHook = MultiprocessingHook(drain_all)
        register_after_fork(self)

    def reset_after_fork(self) -> None:
        """Have nothing to drain: what waits belongs to the parent."""
        self.drainables.clear()
        self.began = None
        self.was_cut_short = False

    def elapsed(self) -> float | None:
        """Return the seconds of the budget that have passed; None before the exit."""
        if self.began is None:
            return None
        return TIME_IS_UP if self.was_cut_short else time.monotonic() - self.began


def register_at_exit(drainable: Drainable) -> None:
    """Drain this object when the process ends, unless it is unregistered before. Thread-safe."""
    exit_state.drainables[id(drainable)] = drainable


def hook_into_frameworks() -> None:
    """See to it that the process drains even if a framework ends it. Thread-safe, not under locks.

    To be called before a message is accepted that nobody is there to send: a framework may have
    been imported meanwhile, or the process forked.
    """
    exit_state.multiprocessing.arm()
    drain_with_celery(drain_all)


def unregister_at_exit(drainable: Drainable) -> None:
    """Do not drain this object when the process ends. Thread-safe."""
    exit_state.drainables.pop(id(drainable), None)


def called_from_delivery() -> bool:
    """Return whether the calling thread delivers for anything that is registered."""
    return any(
        drainable.called_from_delivery() for drainable in list(exit_state.drainables.values())
    )


def begin_drain() -> list[Drainable]:
    """Tell everything registered to send at once, before any wait; return it."""
    drainables = list(exit_state.drainables.values())
    for drainable in drainables:
        drainable.send_at_once()
    return drainables


def drain_all(**_signal_arguments: object) -> None:
    """Deliver what waits within the budget of the exit, and report the rest.

    Ctrl-C ends the wait, and the rest is reported. An `on_error` that exits the process ends only
    its own call.
    """
    if exit_state.began is None:
        exit_state.began = time.monotonic()
    drainables = list(exit_state.drainables.values())
    _is_interrupted(resolve_without_threads)
    for drainable in drainables:
        _is_interrupted(drainable.send_at_once)
    for drainable in drainables:
        _drain(drainable)


def _drain(drainable: Drainable) -> None:
    """Drain an object; if that is interrupted, continue, and report what is left in the end."""
    for _ in range(MAX_INTERRUPTIONS):
        if not _is_interrupted(lambda: drainable.finish_drain(exit_state.elapsed() or 0)):
            return
    _is_interrupted(lambda: drainable.finish_drain(TIME_IS_UP))


def _is_interrupted(step: Callable[[], object]) -> bool:
    """Take a step of the drain; return whether Ctrl-C or `sys.exit` in `on_error` ended it early.

    Nothing that goes wrong in one step keeps the others from being taken.
    """
    try:
        step()
    except KeyboardInterrupt:
        exit_state.was_cut_short = True
        return True
    except BaseException as error:  # noqa: BLE001  the interpreter exits: nobody else will
        log.error("the exit continues after %s", type(error).__name__)
        return isinstance(error, SystemExit)
    return False


exit_state: _ExitState = _ExitState()

# Exit hooks run in reverse order of registration. Registered on import, this one runs after
# those of the application, and delivers what they track.
atexit.register(drain_all)
