"""`sync_mode`: a message is delivered inside its call, without a thread.

Must not know what a message says, or HTTP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segment_librato.process.exit import exit_state, register_at_exit
from segment_librato.queue.in_flight import InFlightBatch

if TYPE_CHECKING:
    from segment_librato.delivery.pipeline import Pipeline
    from segment_librato.errors import SegmentError

__all__ = ["deliver_now"]


def deliver_now(pipeline: Pipeline, message: bytes) -> bool:
    """Deliver a message on the calling thread; return whether it was delivered. Thread-safe.

    If not, it was reported.

    Raises:
        SegmentError: it was not delivered, and there is no `on_error`.
    """
    failure = _deliver(pipeline, message)
    if failure and not pipeline.report.has_on_error:
        raise failure.with_traceback(None) from None
    return failure is None


def _deliver(pipeline: Pipeline, message: bytes) -> SegmentError | None:
    """Deliver a message; return why it was not delivered, after that was reported."""
    delivery = pipeline.begin(InFlightBatch(message))
    delivery.time_for_retries = pipeline.config.sync_timeout
    register_at_exit(pipeline)
    pipeline.hook_in()
    try:
        rejection = pipeline.queue.admit(delivery.batch)
        if rejection:
            pipeline.report.rejection(rejection, message)
            return rejection
        elapsed = exit_state.elapsed()
        return delivery.run(None if elapsed is None else pipeline.exit_deadline(elapsed))
    except BaseException as interruption:
        delivery.give_up(interruption)
        raise
    finally:
        pipeline.keep_for_exit()
