"""The ids of messages: random UUIDs of version 4, as text.

Owns a stock of them. Two processes must not use the same stock, or Segment would drop messages of
one as duplicates of the other's. Must not know messages.

What is promised: an id is given once, in all threads, and in all processes that are forked, with
Python's knowledge or without. A copy of the whole machine (a restored snapshot, a clone of a
virtual machine, as with Lambda's SnapStart) cannot be noticed from inside. Such copies differ from
the next stock on, which is made after 256 ids and in each new second of the clock, so usually at
once: a restored copy finds a later second. Even if the system gives the copies the same random
bytes, the stock has the time in it.
"""

from __future__ import annotations

import os
from time import time_ns
from typing import TYPE_CHECKING

from segment_librato.foreign.interruption import is_interruption
from segment_librato.process.fork import register_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["discard_stock", "new_id"]

# Smaller stocks cost more: an id takes 80 ns from stocks of 256, 87 of 128, 104 of 64, 194 of 16.
# And a new stock lets other threads run, which the 99th percentile sees if it is made often.
LAST_DIGITS = [f"{number:02x}" for number in range(256)]


class _MessageIds:
    """Random UUIDs, made 256 at a time; those of one stock differ in their last two digits only.

    A UUID that is random to the last digit costs ten times as much, and asking the system for
    random bytes releases the GIL. 112 random bits are left: that two of 10 ** 12 ids are the same
    has a chance of 1 in 10 ** 13.
    """

    def __init__(self) -> None:
        self.reset_after_fork()
        register_after_fork(self)

    def reset_after_fork(self) -> None:
        """Drop the stock; the next call makes a new one. Thread-safe."""
        self._stock: list[str] = []

    def new_id(self) -> str:
        """Return a new id: a UUID of version 4 (RFC 9562). Thread-safe.

        The caller must have noticed a fork, if there was one: see `notice_fork`.
        """
        while True:
            stock = self._stock  # a child has another, if a signal handler forks meanwhile
            try:
                return self._stock.pop()
            except IndexError as error:
                if is_interruption(error):
                    raise
                # The time leaves what is random as random as it was.
                number = int.from_bytes(os.urandom(16), "big") ^ time_ns() << 8
                bits = f"{number:032x}"
                start = f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-a{bits[17:20]}-{bits[20:-2]}"
                stock.extend([start + last for last in LAST_DIGITS])


_ids = _MessageIds()
new_id: Callable[[], str] = _ids.new_id
discard_stock: Callable[[], None] = _ids.reset_after_fork
