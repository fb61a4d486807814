"""A call in the middle of which a signal handler runs, at any line or bytecode."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import segment_librato

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

__all__ = ["FINEST_STEP", "call_with_handler"]

# tracing bytecodes crashes Python 3.12.1
FINEST_STEP = "line" if sys.version_info[:2] == (3, 12) else "opcode"
OURS = str(Path(segment_librato.__file__).parent)
CONDITION = {"wait", "notify", "notify_all", "_is_owned"}


class _HandlerAt:
    """A trace function that does at the n-th step of a call what a signal handler might do.

    The steps of this package count, and those of a condition. Not those of `Thread.start`: the
    server of a test, in the same process, could start no thread of its own meanwhile.
    """

    def __init__(self, number: int, handler: Callable[[], object], step: str) -> None:
        self.left = number
        self._handler = handler
        self._step = step

    def __call__(self, frame: FrameType, event: str, arg: object) -> Any:
        code = frame.f_code
        is_condition = code.co_filename == threading.__file__ and code.co_name in CONDITION
        if not (code.co_filename.startswith(OURS) or is_condition):
            return None
        frame.f_trace_opcodes = self._step == "opcode"
        if event == self._step:
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                self._handler()
        return self


def call_with_handler(
    call: Callable[[], object],
    number: int,
    handler: Callable[[], object],
    *,
    step: str = FINEST_STEP,
) -> bool:
    """Make a call during which a handler runs at this step; return whether it got that far.

    It is made on a thread of its own, because coverage traces this one.
    """
    trace = _HandlerAt(number, handler, step)

    def run() -> None:
        sys.settrace(trace)
        call()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return trace.left <= 0
