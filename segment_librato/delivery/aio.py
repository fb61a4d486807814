"""The waits of `flush` and `shutdown` without blocking an event loop.

Must not know what is delivered. Imports asyncio only inside its coroutines: a program that runs
one has loaded it already, and others need not pay for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segment_librato.delivery.notices import WaitNotices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from segment_librato.delivery.pipeline import Pipeline
    from segment_librato.process.clock import Clock

__all__ = ["begin_flush", "poll"]

MIN_PAUSE = 0.001
MAX_PAUSE = 0.02


def begin_flush(pipelines: Sequence[Pipeline]) -> Callable[[], bool] | None:
    """Have all pipelines send what was accepted so far, without waiting.

    Returns:
        A function that says whether all of it has an outcome, and logs now and then why it takes
        so long; None if no thread can be started to send it.
    """
    marks = [(pipeline, pipeline.begin_flush()) for pipeline in pipelines]
    if not all(is_served for _, (_, is_served) in marks):
        return None
    notices = [WaitNotices(pipeline.queue, pipeline.destination) for pipeline in pipelines]

    def is_settled() -> bool:
        for (pipeline, (mark, _)), notice in zip(marks, notices, strict=True):
            if not pipeline.is_settled(mark):
                notice.log_if_due()
                return False
        return True

    return is_settled


async def poll(condition: Callable[[], bool], clock: Clock, deadline: float | None) -> bool:
    """Wait until a condition holds; return False at the deadline.

    It polls: a thread that waits would outlive a caller that is cancelled.
    """
    import asyncio

    pause = MIN_PAUSE
    while not condition():
        left = MAX_PAUSE if deadline is None else deadline - clock.now()
        if left <= 0:
            return False
        await asyncio.sleep(min(pause, left))
        pause = min(2 * pause, MAX_PAUSE)
    return True
