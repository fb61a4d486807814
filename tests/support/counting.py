"""What a test can count instead of measuring time: calls of functions, and of a lock."""

from __future__ import annotations

import gc
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

__all__ = ["Calls", "CountingLock", "count_calls"]

make_lock = threading.RLock  # kept, as a test may put another in its place


class Calls:
    """The calls that a thread made, by the names of the functions.

    Attributes:
        python: those of functions written in Python, comprehensions included.
        built_in: those of functions written in C.
    """

    def __init__(self) -> None:
        self.python: Counter[str] = Counter()
        self.built_in: Counter[str] = Counter()

    def __len__(self) -> int:
        return self.python.total() + self.built_in.total()

    def __repr__(self) -> str:
        return f"{len(self)} calls of {dict(self.python)} and {dict(self.built_in)}"

    def add(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            self.python[frame.f_code.co_name] += 1
        elif event == "c_call" and argument is not sys.setprofile:
            self.built_in[argument.__name__] += 1


def count_calls(call: Callable[[], object]) -> Calls:
    """Make a call and count those that it makes on this thread; itself does not count.

    The garbage collector, which may call anything, waits.
    """
    calls = Calls()
    gc.disable()
    sys.setprofile(calls.add)
    try:
        call()
    finally:
        sys.setprofile(None)
        gc.enable()
    calls.python[call.__name__] -= 1
    return calls


class CountingLock:
    """A re-entrant lock that knows how often each thread took it.

    It stands in for `threading.RLock`, also as the lock of a condition.
    """

    def __init__(self) -> None:
        self._lock = make_lock()
        self.taken_by: Counter[int] = Counter()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def acquire(self, *arguments: Any) -> bool:
        self.taken_by[threading.get_ident()] += 1
        return self._lock.acquire(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lock, name)
