"""Whose exception is it: one of the code that was called, or of a signal handler?

A time limit (Celery's soft one, RQ's, one made with `signal.alarm`) is a signal handler that
raises an ordinary `Exception`, at whatever line the main thread happens to be. It is for the
caller, and not an outcome of what the library was doing: a `TimeoutError` may come from a socket,
or from an alarm during a wait for that socket. So whoever catches what other code may raise lets
such an exception pass.

Owns how the two are told apart, and what such an exception may hold of ours. Must not know
anything else of the library.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from traceback import walk_tb
from typing import TYPE_CHECKING

from segment_librato.foreign.narrowing import is_tuple

if TYPE_CHECKING:
    from types import FrameType, TracebackType

__all__ = [
    "Suppressed",
    "being_handled",
    "clear_locals",
    "is_interruption",
    "is_out_of_stack",
    "let_through",
]

PACKAGE = os.path.join(os.path.dirname(os.path.dirname(__file__)), "")  # noqa: PTH118, PTH120  text

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

REQUEST_MODULES = {"segment_librato", "requests", "urllib3", "http", "jwt"}

VARARGS = 0x04  # `inspect.CO_VARARGS`, without an import that takes 4 ms

SHORT_STACK = 200
"""Frames. Code that runs out of stack with more than these left has itself to blame."""


def is_interruption(error: Exception) -> bool:
    """Return whether an exception came from outside of what was being done when it was raised.

    It did if it passed through a signal handler; and if it was raised right in this library, by
    none of its statements: tools set exceptions in another thread (`PyThreadState_SetAsyncExc`),
    or throw them into a greenlet. Only for code that raises none of our own errors, and waits for
    nothing.

    Not recognized are a handler that is written in C, or that has rebound its parameters; and an
    exception set from another thread that struck in code of the application.
    """
    if _signal_handler(error):
        return True
    traceback: TracebackType | None = error.__traceback__
    while traceback:
        if not traceback.tb_frame.f_code.co_filename.startswith(PACKAGE):
            return False
        traceback = traceback.tb_next
    return not isinstance(error, OPERATION_ERRORS)


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


class Suppressed(suppress):
    """Suppresses errors of these types, but for those of a signal handler."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Return whether there was such an error."""
        is_suppressed = super().__exit__(kind, error, traceback)
        if is_suppressed and error is not None:
            let_through(error, error.__context__)
        return is_suppressed


def is_out_of_stack(error: Exception) -> bool:
    """Return whether there is too little stack left here to blame a RecursionError on anyone."""
    if not isinstance(error, RecursionError):
        return False
    depth = 0
    frame: FrameType | None = sys._getframe()  # noqa: SLF001  documented, and there is no other way
    while frame:
        depth, frame = depth + 1, frame.f_back
    return sys.getrecursionlimit() - depth < SHORT_STACK


def clear_locals(error: BaseException) -> None:
    """Clear the local variables of those frames of a request that an error went through.

    Error trackers upload them, and they hold write keys, tokens, passwords of proxies and whole
    batches. Our own errors have no frames (`without_frames`); a signal handler's keeps its own.
    """
    for frame, _ in walk_tb(error.__traceback__):
        module: str = frame.f_globals.get("__name__", "")
        if module.partition(".")[0] in REQUEST_MODULES:
            try:
                frame.clear()
            except RuntimeError as problem:  # it is still running
                if is_interruption(problem):
                    raise


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
    arguments: list[object] = [values.get(name) for name in code.co_varnames[: code.co_argcount]]
    if code.co_flags & VARARGS:
        rest = values.get(code.co_varnames[code.co_argcount + code.co_kwonlyargcount])
        arguments += rest if is_tuple(rest) else ()
    return arguments
