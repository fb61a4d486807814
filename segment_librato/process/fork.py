"""Forks: what the library replaces in a forked child.

A child inherits locks that a thread of the parent may hold, connections that the parent uses,
and messages that the parent will deliver. Objects with any of these register here and are told
to start afresh. The hook replaces objects and does nothing else: it takes no lock, closes no
connection and logs nothing (rule 5 of the package).

A server written in C, such as uWSGI, forks without Python's hooks. So each call of the library
also looks for a mark that a fork wipes out, and makes up for the hook if it is gone.

Must not know what it resets.
"""

from __future__ import annotations

import logging  # noqa: F401  for the order of the hooks, see the end
import mmap
import os
import threading
import weakref
from typing import TYPE_CHECKING, Protocol

from segment_librato.foreign.interruption import being_handled, let_through

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Forkable", "call_before_fork", "notice_fork", "register_after_fork", "unforked"]

WIPE_ON_FORK = 18  # MADV_WIPEONFORK, in Linux since 4.14; Python has no name for it
NO_ADVICE = -1


class Forkable(Protocol):
    """Something that a forked child cannot use as it is."""

    def reset_after_fork(self) -> None:
        """Replace locks, threads and connections; take no lock, close nothing, log nothing."""


class Mark(Protocol):
    """Something that is 1 until the process forks, and 0 in the child until that is noticed."""

    def __getitem__(self, _: int, /) -> int: ...

    def __setitem__(self, _: int, mark: int, /) -> None: ...


class _ProcessId:
    """The mark where no page is wiped: it is gone when the id of the process has changed."""

    def __init__(self) -> None:
        self._id = os.getpid()

    def __getitem__(self, _: int) -> int:
        """Return whether the mark is there: 1 or 0."""
        return os.getpid() == self._id

    def __setitem__(self, _: int, mark: int) -> None:
        """Leave the mark in this process."""
        self._id = os.getpid()


def _make_mark() -> Mark:
    """Return a page with a mark that the kernel wipes in a forked child, or what does as well.

    To ask for the id of the process is a system call, and takes ten times as long as to look at
    a page: 150 ns here, which is 6 % of a `track`.
    """
    handled = being_handled()
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        try:
            page.madvise(NO_ADVICE)
        except OSError as error:  # so what it accepts, it also does; some emulators accept all
            let_through(error, handled)
            page.madvise(WIPE_ON_FORK)
            page[0] = 1
            return page
    except (AttributeError, OSError, ValueError) as error:  # another system, or an old kernel
        let_through(error, handled)
    return _ProcessId()


unforked: Mark = _make_mark()
"""Whether this process has been noticed: `if not unforked[0]: notice_fork()` is the inline form,
for where even a function call is too much."""

_before_fork: list[Callable[[], None]] = []
_forkables: weakref.WeakSet[Forkable] = weakref.WeakSet()
_noticing: dict[int, threading.RLock] = {}  # by the id of the child that notices


def register_after_fork(forkable: Forkable) -> None:
    """Reset this object in every child forked from now on, for as long as it lives."""
    _forkables.add(forkable)


def call_before_fork(call: Callable[[], None]) -> None:
    """Call this function before each fork from now on, on the thread that forks."""
    _before_fork.append(call)


def notice_fork() -> None:
    """Reset everything if this is a child whose fork Python did not see. Thread-safe.

    To be called first by whatever takes a lock of ours, waits or allocates. Threads of the child
    may notice at the same time: one resets, the others wait for it. Their lock is made in the
    child, so that no thread of the parent can hold it.
    """
    if unforked[0]:
        return
    child = os.getpid()
    with _noticing.setdefault(child, threading.RLock()):
        if not unforked[0]:
            _reset_all()
    _noticing.pop(child, None)


def _call_all() -> None:
    for call in _before_fork:
        call()


def _reset_all() -> None:
    for forkable in list(_forkables):
        forkable.reset_after_fork()
    unforked[0] = 1  # last, as other threads go on from then


# Hooks before a fork run in reverse order of registration. Ours must run before that of logging,
# which holds logging's lock from then on; so logging is imported, and registers, first.
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_call_all, after_in_child=_reset_all)
