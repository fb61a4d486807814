"""`sync_mode`: a message is delivered inside its call, without a thread and without waiting.

Must not know what a message says, or HTTP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segment_librato.process.exit import exit_state, hook_into_frameworks, register_at_exit
from segment_librato.queue.ledger import InFlightBatch

if TYPE_CHECKING:
    from segment_librato.delivery.pipeline import Pipeline

__all__ = ["deliver_now"]


def deliver_now(pipeline: Pipeline, message: bytes) -> bool:
    """Deliver a message on the calling thread; return whether it was delivered.

    If not, it was reported. Thread-safe.
    """
    delivery = pipeline.begin(InFlightBatch(message))
    register_at_exit(pipeline)
    hook_into_frameworks()
    try:
        rejection = pipeline.queue.admit(delivery.batch)
        if rejection:
            pipeline.report.rejection(rejection, message)
            return False
        return delivery.run(_exit_deadline(pipeline)) is None
    except BaseException as interruption:
        delivery.give_up(interruption)
        raise
    finally:
        pipeline.keep_for_exit()


def _exit_deadline(pipeline: Pipeline) -> float | None:
    """Return the deadline of the exit; None before it has begun."""
    elapsed = exit_state.elapsed()
    if elapsed is None:
        return None
    return pipeline.queue.clock.deadline(pipeline.config.exit_timeout - elapsed)
