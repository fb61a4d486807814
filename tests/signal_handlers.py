"""A call in the middle of which a signal handler runs, at any bytecode that one likes.

On Python 3.12 at any line: tracing bytecodes crashes Python 3.12.1.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

__all__ = ["call_with_handler"]

STEP = "line" if sys.version_info[:2] == (3, 12) else "opcode"


class _HandlerAt:
    """A trace function that does at the n-th step of a call what a signal handler might do.

    The steps in this package count.
    """

    def __init__(self, step: int, handler: Callable[[], object]) -> None:
        self.left = step
        self._handler = handler

    def __call__(self, frame: FrameType, event: str, arg: object) -> Any:
        if "segment_librato" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = STEP == "opcode"
        if event == STEP:
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                self._handler()
        return self


def call_with_handler(call: Callable[[], object], step: int, handler: Callable[[], object]) -> bool:
    """Make a call during which a handler runs; return whether it got that far.

    It is made on a thread of its own, as the tracing of this one is the coverage's.
    """
    trace = _HandlerAt(step, handler)

    def run() -> None:
        sys.settrace(trace)
        call()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return trace.left <= 0
