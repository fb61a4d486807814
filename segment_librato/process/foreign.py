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
    met: set[int] = set()
    one: BaseException | None = error
    while one is not None and one is not handled and id(one) not in met:
        if _is_of_signal_handler(one):
            context = one.__context__
            try:
                raise one
            finally:
                one.__context__ = context
                del error, one, context  # the traceback has this frame: a cycle, with sockets in it
        met.add(id(one))
        one = one.__context__


def _is_of_signal_handler(error: BaseException) -> bool:
    """Return whether a function on the way of an exception was called as signal handlers are.

    Python hands them the frame that they interrupt. Nobody else gets that of its caller.
    """
    traceback = error.__traceback__
    while traceback:
        frame = (
            traceback.tb_frame
        )  # that of its caller may be missing in the traceback of an import
        if frame.f_back and any(one is frame.f_back for one in _arguments(frame)):
            return True
        traceback = traceback.tb_next
    return False


def _arguments(frame: FrameType) -> list[object]:
    """Return what a function was called with by position, each on its own."""
    code, values = frame.f_code, frame.f_locals
    arguments = [values.get(name) for name in code.co_varnames[: code.co_argcount]]
    if code.co_flags & VARARGS:
        rest = values.get(code.co_varnames[code.co_argcount + code.co_kwonlyargcount])
        arguments += rest if isinstance(rest, tuple) else ()
    return arguments
