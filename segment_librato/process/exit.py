"""The exit: pipelines with something to deliver are drained before the interpreter ends.

One budget counts for all of them: it starts with the drain, and a later delivery, such as one for
a call made by another exit hook, gets what is left of it. Beyond it, there is only the grace for
reports that have begun.

Only the thread that exits gives up what is left: any other may be stopped in the middle of its
report, for good. Once the drain is over, other threads see to what they put in themselves, before
their call returns.

Must not know messages, or what draining means.
"""

from __future__ import annotations

import atexit
import math
import threading
from abc import abstractmethod
from typing import TYPE_CHECKING, Protocol

from segment_librato.log import log
from segment_librato.process.clock import monotonic
from segment_librato.process.fork import notice_fork, register_after_fork
from segment_librato.process.frameworks import (
    MultiprocessingHook,
    drain_with_celery,
    resolve_without_threads,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "REPORT_GRACE",
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
REPORT_GRACE = 3.0  # seconds beyond a deadline, for calls of `on_error` that have begun by then
MAX_INTERRUPTIONS = 100  # of one object's drain; after that, its `on_error` seems to exit always


class Drainable(Protocol):
    """Something that has to finish before the process ends."""

    def send_at_once(self) -> None:
        """Start sending everything that waits; do not wait for it."""

    @abstractmethod
    def has_pending(self) -> bool:
        """Return whether anything has no outcome yet."""

    def finish_drain(self, elapsed: float) -> None:
        """Deliver what waits, end the threads, report the rest.

        Args:
            elapsed: seconds of the budget that have passed.
        """

    def finish_flush(self, elapsed: float) -> None:
        """Deliver what waits as `finish_drain` does, and stay ready for more."""

    def tell_left(self) -> None:
        """Log what stays for a later process, now that this one delivers no more."""

    @abstractmethod
    def called_from_delivery(self) -> bool:
        """Return whether the calling thread delivers, and so must not wait for itself."""


class _ExitState:
    """What this process knows of its exit. No lock: each change is a single operation."""

    def __init__(self) -> None:
        self.drainables: dict[int, Drainable] = {}
        self.began: float | None = None  # when the drain did, by `monotonic`
        self.is_over: bool = False  # whether the drain has taken its last look at what waits
        self.was_cut_short: bool = False  # by Ctrl-C
        self.thread_id: int | None = None  # of the thread that exits
        self.is_inherited: bool = False  # whether an exit hook of the parent forked this process
        self._grace_ends_at: float | None = None
        self.multiprocessing: MultiprocessingHook = MultiprocessingHook(drain_all)
        register_after_fork(self)

    def reset_after_fork(self) -> None:
        """Have nothing to drain: what waits belongs to the parent.

        If an exit hook forked, this process is in the middle of its exit hooks, too, and ours may
        be over: it has a budget of its own, and each call delivers before it returns.
        """
        self.drainables.clear()
        self.is_inherited = self.began is not None and self.thread_id == threading.get_ident()
        self.began = monotonic() if self.is_inherited else None
        self.is_over = self.is_inherited
        self.was_cut_short = False
        self._grace_ends_at = None

    def elapsed(self) -> float | None:
        """Return the seconds of the budget that have passed; None before the exit."""
        if self.began is None:
            return None
        return TIME_IS_UP if self.was_cut_short else monotonic() - self.began

    def is_up_to_caller(self) -> bool:
        """Return whether no other thread will see to what the calling one puts in."""
        return self.is_over or self.thread_id == threading.get_ident()

    def grace(self) -> float:
        """Return the seconds left for reports that have begun; the first call starts them."""
        now = monotonic()
        if self._grace_ends_at is None:
            self._grace_ends_at = now + REPORT_GRACE
        return max(0, self._grace_ends_at - now)


def register_at_exit(drainable: Drainable) -> None:
    """Drain this object when the process ends, unless it is unregistered before. Thread-safe."""
    exit_state.drainables[id(drainable)] = drainable


def hook_into_frameworks() -> None:
    """See to it that the process drains even if a framework ends it. Thread-safe, not under locks.

    To be called before a message is accepted that nobody is there to send: a framework may have
    been imported meanwhile, or the process forked.
    """
    is_child = exit_state.multiprocessing.arm()
    if is_child and exit_state.is_inherited:
        exit_state.is_inherited, exit_state.began = False, None  # it drains at an end of its own
    drain_with_celery(drain_all)


def unregister_at_exit(drainable: Drainable) -> None:
    """Do not drain this object when the process ends. Thread-safe."""
    exit_state.drainables.pop(id(drainable), None)


def called_from_delivery() -> bool:
    """Return whether the calling thread delivers for anything that is registered."""
    notice_fork()
    return any(
        drainable.called_from_delivery() for drainable in list(exit_state.drainables.values())
    )


def begin_drain() -> list[Drainable]:
    """Tell everything registered to send at once, before any wait; return it."""
    notice_fork()
    drainables = list(exit_state.drainables.values())
    for drainable in drainables:
        drainable.send_at_once()
    return drainables


def drain_all(**_signal_arguments: object) -> None:
    """Deliver what waits within the budget of the exit, and report the rest.

    Ctrl-C ends the wait, and the rest is reported. An `on_error` that exits the process ends only
    its own call.
    """
    notice_fork()
    if exit_state.began is None:
        exit_state.began = monotonic()
    exit_state.thread_id = threading.get_ident()
    exit_state.is_inherited = exit_state.is_over = False
    _is_interrupted(resolve_without_threads)
    drained = _drain_registered(_finish)
    # What another thread has put in meanwhile is seen here, or that thread sees that it is over.
    exit_state.is_over = True
    drained |= _drain_registered(_finish_rest)
    for drainable in drained.values():
        _drain(drainable, _tell_left)


def _drain_registered(finish: Callable[[Drainable, float], None]) -> dict[int, Drainable]:
    """Drain what is registered, and return it; it may not be any more."""
    drainables = exit_state.drainables.copy()
    for drainable in drainables.values():
        _is_interrupted(drainable.send_at_once)
    for drainable in drainables.values():
        _drain(drainable, finish)
    return drainables


def _finish(drainable: Drainable, elapsed: float) -> None:
    drainable.finish_drain(elapsed)


def _finish_rest(drainable: Drainable, elapsed: float) -> None:
    if drainable.has_pending():
        drainable.finish_drain(elapsed)


def _tell_left(drainable: Drainable, _: float) -> None:
    drainable.tell_left()


def _drain(drainable: Drainable, finish: Callable[[Drainable, float], None]) -> None:
    """Drain an object; if that is interrupted, continue, and report what is left in the end."""
    for _ in range(MAX_INTERRUPTIONS):
        if not _is_interrupted(lambda: finish(drainable, exit_state.elapsed() or 0)):
            return
    _is_interrupted(lambda: finish(drainable, TIME_IS_UP))


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
