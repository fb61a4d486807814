"""Forks: what the library replaces in a forked child.

A child inherits locks that a thread of the parent may hold, connections that the parent uses,
and messages that the parent will deliver. Objects with any of these register here and are told
to start afresh. The hook replaces objects and does nothing else: it takes no lock, closes no
connection and logs nothing (rule 5 of the package).

Must not know what it resets.
"""

from __future__ import annotations

import logging  # noqa: F401  for the order of the hooks, see the end
import os
import weakref
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Forkable", "call_before_fork", "register_after_fork"]


class Forkable(Protocol):
    """Something that a forked child cannot use as it is."""

    def reset_after_fork(self) -> None:
        """Replace locks, threads and connections; take no lock, close nothing, log nothing."""


_before_fork: list[Callable[[], None]] = []
_forkables: weakref.WeakSet[Forkable] = weakref.WeakSet()


def register_after_fork(forkable: Forkable) -> None:
    """Reset this object in every child forked from now on, for as long as it lives."""
    _forkables.add(forkable)


def call_before_fork(call: Callable[[], None]) -> None:
    """Call this function before each fork from now on, on the thread that forks."""
    _before_fork.append(call)


def _call_all() -> None:
    for call in _before_fork:
        call()


def _reset_all() -> None:
    for forkable in list(_forkables):
        forkable.reset_after_fork()


# Hooks before a fork run in reverse order of registration. Ours must run before that of logging,
# which holds logging's lock from then on; so logging is imported, and registers, first.
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_call_all, after_in_child=_reset_all)
