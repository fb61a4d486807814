"""Whose exception is it: that of the code that was called, or of a signal handler?

A time limit (Celery's soft one, RQ's, one made with `signal.alarm`) is a signal handler that
raises an ordinary `Exception`, at whatever line the main thread happens to be. Whoever catches
what the application's code may raise must let such an exception pass, or the time limit would
have no effect. Owns how the two are told apart. Must not know anything else of the library.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType, TracebackType

__all__ = ["is_interruption", "is_out_of_stack"]

PACKAGE = os.path.join(os.path.dirname(__file__), "")  # noqa: PTH118, PTH120  compared as text

OPERATION_ERRORS = (
    ArithmeticError,
    AttributeError,
    BufferError,
    LookupError,
    MemoryError,
    RuntimeError,
    SystemError,
    TypeError,
    ValueError,
    Warning,
)
"""What operations written in C raise: to convert, compare, look up, allocate, ..."""

CO_VARARGS = 0x04  # as in `inspect`, whose import takes 4 ms

SHORT_STACK = 200
"""Frames. Who runs out of stack with more than these at his disposal has himself to blame."""


def is_interruption(error: Exception) -> bool:
    """Return whether an exception came from outside of what was being done when it was raised.

    So it is if it passed through a signal handler. CPython calls one with the frame that it
    interrupts, so it is the function that was given the frame of its own caller. And so it is if
    it was raised right in this library, by none of its statements: tools set exceptions in
    another thread (`PyThreadState_SetAsyncExc`), or throw them into a greenlet.

    Not recognized are a handler that is written in C, or that has rebound its parameters; and an
    exception set from another thread that struck in code of the application.
    """
    caller: FrameType | None = None
    is_ours = True
    traceback: TracebackType | None = error.__traceback__
    while traceback:
        frame = traceback.tb_frame
        if caller and _was_given(frame, caller):
            return True
        is_ours = is_ours and frame.f_code.co_filename.startswith(PACKAGE)
        caller, traceback = frame, traceback.tb_next
    return is_ours and not isinstance(error, OPERATION_ERRORS)


def _was_given(frame: FrameType, caller: FrameType) -> bool:
    """Return whether a frame is that of a function with its caller's frame as an argument."""
    code = frame.f_code
    count = code.co_argcount
    if not count and not code.co_flags & CO_VARARGS:
        return False
    values = frame.f_locals
    names = code.co_varnames
    if any(values.get(name) is caller for name in names[:count]):
        return True
    others = values.get(names[count + code.co_kwonlyargcount]) if code.co_flags & CO_VARARGS else ()
    return isinstance(others, tuple) and any(one is caller for one in others)


def is_out_of_stack(error: Exception) -> bool:
    """Return whether there is too little stack left here to blame a RecursionError on anyone."""
    if not isinstance(error, RecursionError):
        return False
    depth = 0
    frame: FrameType | None = sys._getframe()  # noqa: SLF001  documented, and there is no other way
    while frame:
        depth, frame = depth + 1, frame.f_back
    return sys.getrecursionlimit() - depth < SHORT_STACK
