"""What is for one thread at a time, lent to one after another: sessions, mostly.

Owns who has one now, and what becomes of them at the end and in a forked child. Knows nothing of
what they do.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Pool"]


class _Closable(Protocol):
    def close(self) -> None: ...


Lent = TypeVar("Lent", bound=_Closable)

# What a parent process had. To close it here could wait for a lock of a thread that was not
# forked, so it is kept for ever.
_inherited: list[list[Any]] = []


class Pool(Generic[Lent]):
    """Objects that are made when they are needed, and kept. Thread-safe."""

    def __init__(self, make: Callable[[], Lent]) -> None:
        self._make = make
        self._idle: list[Lent] = []
        self._closed = False

    @contextmanager
    def lend(self) -> Iterator[Lent]:
        """Have an object to oneself within the `with` block."""
        lent = self._take_idle() or self._make()
        try:
            yield lent
        finally:
            self._idle.append(lent)
            if self._closed:
                self.close()

    def close(self) -> None:
        """Close the objects; one that is lent is closed when it comes back."""
        self._closed = True
        while (idle := self._take_idle()) is not None:
            idle.close()

    def reset_after_fork(self) -> None:
        """Leave the objects to the parent, untouched, and have none."""
        _inherited.append(self._idle)
        self._idle = []

    def _take_idle(self) -> Lent | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None
