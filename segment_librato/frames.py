"""Stack frames behind an error: error trackers upload their local variables.

The frames of this library hold write keys, tokens, passwords of proxies and whole batches, so an
error leaves the library without them. Must not know what they hold.
"""

from __future__ import annotations

import traceback
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from segment_librato.errors import SegmentError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["clear_locals", "raised_anew", "without_frames"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Error = TypeVar("Error", bound=SegmentError)

OF_REQUESTS = {"segment_librato", "requests", "urllib3", "http", "jwt"}


def without_frames(error: Error) -> Error:
    """Return an error without its traceback, cause and context, all of which have frames."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error


def raised_anew(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Have a function raise our errors without the frames of what it calls."""

    @wraps(function)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        except SegmentError as error:
            raise without_frames(error)  # noqa: B904  it is the same one

    return call


def clear_locals(error: BaseException) -> None:
    """Clear the local variables of those frames of a request that an error went through.

    For an error that is not ours, such as that of a signal handler: it keeps its traceback.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        module: str = frame.f_globals.get("__name__", "")
        if module.partition(".")[0] in OF_REQUESTS:
            with suppress(RuntimeError):  # it is still running
                frame.clear()
