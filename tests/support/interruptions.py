"""Exceptions out of signal handlers, at any place of a call."""

from __future__ import annotations

import ctypes
import gc
import inspect
import queue
import sys
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

import segment_librato

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import CodeType, FrameType

    from _pytest.mark.structures import ParameterSet

__all__ = [
    "EACH_TYPE",
    "INTERRUPTIONS",
    "OF_ALL_TYPES",
    "OURS",
    "SoftTimeLimit",
    "in_turn",
    "interrupted",
    "is_ours",
    "one_at_a_time",
    "rotated",
    "strike",
    "within",
]

T = TypeVar("T", bound=type[BaseException])

OURS = str(Path(segment_librato.__file__).parent)


class SoftTimeLimit(Exception):  # noqa: N818  named as that of Celery is
    """What a time limit raises in a task, so that its `except Exception` can see to it."""


class AnyError(
    IndexError,
    KeyError,
    NotImplementedError,
    TypeError,
    ValueError,
    ArithmeticError,
    queue.Empty,
    queue.Full,
):
    """What an `except` takes that names any type that operations raise, but for the next two."""


class AnyOSError(TimeoutError, AnyError):
    """The same, and an OSError."""


class AnyAttributeError(AttributeError, AnyError):
    """The same, and an AttributeError: a class cannot be both."""


OF_ALL_TYPES = (AnyOSError, AnyAttributeError)

EACH_TYPE = (
    SoftTimeLimit,
    ArithmeticError,
    AttributeError,
    ImportError,
    IndexError,
    KeyError,
    OSError,
    RuntimeError,
    TimeoutError,
    TypeError,
    ValueError,
    queue.Empty,
)


MARKS = (pytest.mark.slow, pytest.mark.once, pytest.mark.filterwarnings("ignore:unclosed"))


def one_at_a_time(exceptions: Sequence[type[BaseException]]) -> list[ParameterSet]:
    """Return parameters that are tuples of one type each, for the run that may take long."""
    return [pytest.param((one,), marks=MARKS, id=one.__name__) for one in exceptions]


def rotated(exceptions: tuple[T, ...], first: int) -> tuple[T, ...]:
    """Return these types, beginning with another one: `interrupted` takes one after the other."""
    return exceptions[first:] + exceptions[:first]


def in_turn(exceptions: tuple[type[BaseException], ...]) -> list[ParameterSet]:
    """Return parameters with which each place is struck by three of the types, one at a time."""
    firsts = range(0, len(exceptions), len(exceptions) // 3 + 1)
    return [
        pytest.param(rotated(exceptions, first), marks=MARKS, id=f"{first} first")
        for first in firsts
    ]


# Ctrl-C, and errors of a time limit: each place is struck by one of those, of all types. A socket
# may raise such an error as well, so urllib3 leaves the socket to the garbage collector.
INTERRUPTIONS = [
    pytest.param((KeyboardInterrupt,), id="KeyboardInterrupt"),
    pytest.param(OF_ALL_TYPES, id="all", marks=pytest.mark.filterwarnings("ignore:unclosed")),
    *in_turn(EACH_TYPE),
]


def within(*paths: str, but_not: tuple[str, ...] = ()) -> Callable[[CodeType], bool]:
    """Return a function that says whether code is in one of these files and folders."""

    def is_within(code: CodeType) -> bool:
        path = code.co_filename
        return path.startswith(paths) and not path.startswith(but_not)

    return is_within


is_ours = within(OURS)


class _StrikeAt:
    """A profile or trace function that raises at the n-th place where a signal handler may run.

    CPython runs signal handlers when a function in Python begins and when one in C has returned
    (and at jumps, which come with one of these nearly always). Other places are not
    tried: between two statements without a call nothing can strike, and the library relies on it.
    Nor are generators, which may be on their way to be collected, and finalizers: what is raised
    there is ignored by CPython. Like a signal handler, it is given the frame that it interrupts.
    """

    def __init__(
        self,
        place: int,
        raise_it: Callable[[], object],
        is_place: Callable[[CodeType], bool],
        events: set[str],
    ) -> None:
        self.left = place
        self._raise_it = raise_it
        self._is_place = is_place
        self._events = events

    def __call__(self, frame: FrameType, event: str, arg: object) -> _StrikeAt | None:
        code = frame.f_code
        if code.co_flags & inspect.CO_GENERATOR or not self._is_place(code):
            return None
        if event in self._events and not (self.left == 1 and _is_in_finalizer(frame)):
            self.left -= 1
            if self.left == 0:
                sys.setprofile(None)
                self._raise_it()
        return self


def _is_in_finalizer(frame: FrameType | None) -> bool:
    """Return whether a frame belongs to a `__del__` or, as urllib3's pools make, a finalizer."""
    while frame:
        if frame.f_code.co_name == "__del__" or frame.f_code.co_filename == weakref.__file__:
            return True
        frame = frame.f_back
    return False


def strike(
    call: Callable[[], object],
    place: int,
    exception: type[BaseException],
    is_place: Callable[[CodeType], bool] = is_ours,
    *,
    by: str = "call",
    before: Callable[[], object] = lambda: None,
) -> BaseException | bool:
    """Make a call that is struck at this place; return what it raised, else whether it got there.

    It is made on a thread of its own, because an interruption at the beginning of an `except`
    may leave its exception behind in the thread. The garbage collector waits: an interruption of
    what it calls, for the client of another test, would be told as a warning and lost.

    Args:
        call: the call.
        place: counts from 1.
        exception: what is raised.
        is_place: in which code places count.
        by: "call" for calls, "line" for lines; "thread" for calls, where the exception is set as
            another thread does it, with no handler on its way.
        before: what the handler does before.
    """

    def raise_it() -> None:
        before()
        if by != "thread":
            raise exception
        ident = ctypes.c_ulong(threading.get_ident())
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(exception))

    events = {"line"} if by == "line" else {"call", "c_return"}
    hook = _StrikeAt(place, raise_it, is_place, events)
    raised: list[BaseException] = []

    def run() -> None:
        gc.disable()
        (sys.settrace if by == "line" else sys.setprofile)(hook)
        try:
            call()
        except BaseException as error:  # noqa: BLE001  whatever became of it
            raised.append(error)
        finally:
            sys.settrace(None)
            sys.setprofile(None)
            gc.enable()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised.pop() if raised else hook.left <= 0  # not kept: its traceback leads here


def interrupted(
    call: Callable[[], object],
    place: int,
    exceptions: Sequence[type[BaseException]] = (KeyboardInterrupt,),
    is_place: Callable[[CodeType], bool] = is_ours,
    *,
    by: str = "call",
) -> bool:
    """Make a call that is interrupted at this place; return whether it got that far.

    The exception must reach the caller. By default, all places in the library count. Of several
    exceptions, the places get one after the other.
    """
    exception = exceptions[place % len(exceptions)]
    outcome = strike(call, place, exception, is_place, by=by)
    assert outcome is False or type(outcome) is exception, f"place {place}: {outcome!r}"
    return outcome is not False
