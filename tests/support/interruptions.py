"""Exceptions out of signal handlers, at any place of a call."""

from __future__ import annotations

import gc
import inspect
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import segment_librato

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

__all__ = [
    "INTERRUPTIONS",
    "OURS",
    "InterruptAt",
    "SoftTimeLimit",
    "interrupted",
    "is_ours",
    "within",
]

OURS = str(Path(segment_librato.__file__).parent)


class SoftTimeLimit(Exception):  # noqa: N818  named as that of Celery is
    """What a time limit raises in a task, so that its `except Exception` can see to it."""


# Ctrl-C, an exception that nothing else raises, and one that a socket may raise as well. urllib3
# takes that for one of its own, and leaves the socket to the garbage collector.
INTERRUPTIONS = [
    KeyboardInterrupt,
    SoftTimeLimit,
    pytest.param(TimeoutError, marks=pytest.mark.filterwarnings("ignore:unclosed")),
]


def within(*paths: str, but_not: tuple[str, ...] = ()) -> Callable[[CodeType], bool]:
    """Return a function that says whether code is in one of these files and folders."""

    def is_within(code: CodeType) -> bool:
        path = code.co_filename
        return path.startswith(paths) and not path.startswith(but_not)

    return is_within


is_ours = within(OURS)


class InterruptAt:
    """A profile function that raises an exception at the n-th place where a signal may strike.

    CPython runs signal handlers when a function in Python begins and when one in C has returned
    (and at jumps, which come with one of these nearly always). Other places are not
    tried: between two statements without a call nothing can strike, and the library relies on it.
    Nor are generators, which may be on their way to be collected: what is raised in one then is
    ignored by CPython.
    """

    def __init__(
        self,
        place: int,
        exception: type[BaseException] = KeyboardInterrupt,
        is_place: Callable[[CodeType], bool] = is_ours,
    ) -> None:
        self.left = place
        self._exception = exception
        self._is_place = is_place

    def __call__(self, frame: FrameType, event: str, arg: object) -> None:
        code = frame.f_code
        if code.co_flags & inspect.CO_GENERATOR or not self._is_place(code):
            return
        if event in {"call", "c_return"}:
            self.left -= 1
            if self.left == 0:
                raise self._exception


def interrupted(
    call: Callable[[], object],
    place: int,
    exception: type[BaseException] = KeyboardInterrupt,
    is_place: Callable[[CodeType], bool] = is_ours,
) -> bool:
    """Make a call that is interrupted at this place; return whether it got that far.

    The exception must reach the caller. By default, all places in the library count.

    It is made on a thread of its own, because an interruption at the beginning of an `except`
    may leave its exception behind in the thread. The garbage collector waits: an interruption of
    what it calls, for the client of another test, would be told as a warning and lost.
    """
    strike = InterruptAt(place, exception, is_place)
    raised: list[type[BaseException]] = []

    def run() -> None:
        gc.disable()
        sys.setprofile(strike)
        try:
            call()
        except BaseException as error:  # noqa: BLE001  whatever became of it
            raised.append(type(error))
        finally:
            sys.setprofile(None)
            gc.enable()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    has_struck = strike.left <= 0
    assert raised == [exception] * has_struck, f"place {place}"
    return has_struck
