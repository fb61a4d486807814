"""Exceptions out of signal handlers, which look like those of the code that they interrupt.

Celery's soft time limit, RQ and alarms raise an `Exception` out of a signal handler, and so
anywhere in a call on the main thread. It is for the caller, and not an outcome of what the library
was doing: a `TimeoutError` may be from a socket, or from an alarm during a wait for that socket.

Owns how to tell them apart. Must not know anything else of the library.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["being_handled", "let_through"]

VARARGS = 0x04  # `inspect.CO_VARARGS`, without an import that takes long


def being_handled() -> BaseException | None:
    """Return the exception that the calling code is handling; to be asked before a `try`."""
    return sys.exc_info()[1]


def let_through(error: BaseException, handled: BaseException | None) -> None:
    """Raise the exception of a signal handler if an `except` has caught one.

    Args:
        error: what was caught: that exception, or an error that it became on its way.
        handled: what was being handled before, which is the context of every new error. It may
            be of a signal handler, too: "the time was up" is something to track.
    """
    foreign = _foreign(error, handled)
    if foreign is not None:
        context = foreign.__context__
        try:
            raise foreign
        finally:
            foreign.__context__ = context
            del error, foreign, context  # the traceback has this frame: a cycle, with sockets in it


def _foreign(error: BaseException, handled: BaseException | None) -> BaseException | None:
    """Return the exception of a signal handler that an error is, or was made from."""
    foreign = handler = None
    met: set[int] = set()
    one: BaseException | None = error
    while one is not None and one is not handled and id(one) not in met:
        found = _signal_handler(one)
        if found and found is (handler or found):  # urllib3 gives its errors the same traceback
            foreign, handler = one, found
        met.add(id(one))
        one = one.__context__
    return foreign


def _signal_handler(error: BaseException) -> FrameType | None:
    """Return the frame of the signal handler that an exception has passed through, if any.

    Python hands it the frame that it interrupts. No other function gets that of its caller.
    """
    traceback = error.__traceback__
    # Not the first frame, which has caught it: looking at its variables would make a cycle.
    while traceback and (traceback := traceback.tb_next):
        frame = traceback.tb_frame
        # The traceback of an import does not have all frames.
        if frame.f_back and any(one is frame.f_back for one in _arguments(frame)):
            return frame
    return None


def _arguments(frame: FrameType) -> list[object]:
    """Return what a function was called with by position, each on its own."""
    code, values = frame.f_code, frame.f_locals
    arguments = [values.get(name) for name in code.co_varnames[: code.co_argcount]]
    if code.co_flags & VARARGS:
        rest = values.get(code.co_varnames[code.co_argcount + code.co_kwonlyargcount])
        arguments += rest if isinstance(rest, tuple) else ()
    return arguments
