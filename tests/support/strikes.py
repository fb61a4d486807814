"""A call in the middle of which a signal handler raises an exception, as a time limit does."""

from __future__ import annotations

import ctypes
import gc
import inspect
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import segment_librato

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

__all__ = ["SoftTimeLimit", "strike"]

OURS = str(Path(segment_librato.__file__).parent)


class SoftTimeLimit(Exception):  # noqa: N818  as that of Celery
    """What a time limit raises: an ordinary exception."""


class _StrikeAt:
    """A profile or trace function that raises at the n-th place where a signal handler may run.

    With `sys.setprofile` these are the calls of functions in Python and the ends of those in C,
    which is where CPython runs handlers; with `sys.settrace` the lines. Like a handler, it is
    given the frame that it interrupts. Generators are left alone: they may be on their way to be
    collected, and what is raised then is ignored by CPython.
    """

    def __init__(self, place: int, raise_it: Callable[[], object], events: set[str]) -> None:
        self.left = place
        self._raise_it = raise_it
        self._events = events

    def __call__(self, frame: FrameType, event: str, arg: object) -> Any:
        code = frame.f_code
        if code.co_flags & inspect.CO_GENERATOR or not code.co_filename.startswith(OURS):
            return None
        if event in self._events:
            self.left -= 1
            if self.left == 0:
                sys.setprofile(None)
                self._raise_it()
        return self


def strike(
    call: Callable[[], object],
    place: int,
    exception: type[Exception],
    *,
    by: str = "call",
) -> BaseException | bool:
    """Make a call that is struck at this place, on a thread of its own.

    Args:
        call: the call.
        place: counts from 1.
        exception: what is raised.
        by: "call" for calls, "line" for lines; "thread" for calls, where the exception is set as
            another thread does it, with no handler on its way.

    Returns:
        What the call raised; else whether it got that far.
    """

    def raise_it() -> None:
        if by != "thread":
            raise exception
        ident = ctypes.c_ulong(threading.get_ident())
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(exception))

    result: list[BaseException | bool] = []
    hook = _StrikeAt(place, raise_it, {"line"} if by == "line" else {"call", "c_return"})

    def run() -> None:
        gc.disable()
        try:
            (sys.settrace if by == "line" else sys.setprofile)(hook)
            call()
        except BaseException as error:  # noqa: BLE001  told to the test
            result.append(error)
        finally:
            sys.settrace(None)
            sys.setprofile(None)
            gc.enable()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return result[0] if result else hook.left <= 0
