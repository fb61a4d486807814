"""Which pipeline delivers what a queue holds: one that sends, or one that only writes.

Owns the choice. Must not know what either of them does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segment_librato.delivery.pipeline import Pipeline

if TYPE_CHECKING:
    from segment_librato.config.client import Config
    from segment_librato.delivery.report import Reporter
    from segment_librato.delivery.retry import RetryTable
    from segment_librato.queue.message_queue import MessageQueue
    from segment_librato.spooling.spool import Spool
    from segment_librato.transport.lazy import LazyTransport

__all__ = ["make_pipeline"]


def make_pipeline(
    config: Config,
    queue: MessageQueue,
    transport: LazyTransport,
    report: Reporter,
    table: RetryTable,
    spool: Spool | None,
) -> Pipeline:
    """Return a pipeline that sends; with a spool, perhaps one that only writes."""
    if spool is None or spool.config.deliver:
        return Pipeline(config, queue, transport, report, table, spool)
    from segment_librato.delivery.writing import WritingPipeline  # few need it

    return WritingPipeline(config, queue, transport, report, table, spool)
