"""The ids of messages: random UUIDs of version 4, as text.

Owns a stock of them. A forked child must not use its parent's stock, or the two would give the
same ids. Must not know messages.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from segment_librato.process.fork import register_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["new_id"]

LAST_DIGITS = [f"{number:02x}" for number in range(256)]


class _MessageIds:
    """Random UUIDs, made 256 at a time; those of one stock differ in their last two digits only.

    A UUID that is random to the last digit costs ten times as much, and asking the system for
    random bytes releases the GIL.
    """

    def __init__(self) -> None:
        self.reset_after_fork()
        register_after_fork(self)

    def reset_after_fork(self) -> None:
        """Empty the stock; the next call makes a new one."""
        self._stock: list[str] = []

    def new_id(self) -> str:
        """Return a new id: a UUID of version 4 (RFC 9562). Thread-safe."""
        while True:
            stock = self._stock  # a child has another, if a signal handler forks meanwhile
            try:
                return self._stock.pop()
            except IndexError:
                bits = os.urandom(16).hex()
                start = f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-a{bits[17:20]}-{bits[20:-2]}"
                stock.extend([start + last for last in LAST_DIGITS])


new_id: Callable[[], str] = _MessageIds().new_id
