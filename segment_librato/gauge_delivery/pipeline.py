"""The second pipeline: measurements are delivered directly, by the same parts as messages.

Owns what that pipeline is made of: its queue, the size of its batches, its budgets and its
transport. Must not know messages, or how a measurement is sent.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from segment_librato.config.gauges import LibratoConfig
from segment_librato.delivery.pipeline import Pipeline
from segment_librato.delivery.retry import LIBRATO, OTLP
from segment_librato.delivery.sync import deliver_now
from segment_librato.gauge_delivery.aggregate import MultiSample
from segment_librato.gauge_delivery.queue import GaugeQueue
from segment_librato.gauge_delivery.wire import encode
from segment_librato.librato.mapper import map_message
from segment_librato.queue.message_queue import MessageQueue
from segment_librato.queue.schedule import BatchRules
from segment_librato.transport.lazy import LazyTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from segment_librato.config.client import Config
    from segment_librato.config.gauges import OpenTelemetryConfig
    from segment_librato.counters import Stats
    from segment_librato.delivery.report import Reporter
    from segment_librato.librato.mapper import Measurement
    from segment_librato.process.clock import Clock
    from segment_librato.transport.base import Transport

__all__ = ["GaugePipeline"]

MAX_MEASUREMENTS = 300  # what the documentation of the API advises for one request
MAX_REQUEST_BYTES = 500_000  # 300 measurements are less than half of it


class GaugePipeline:
    """The measurements that are delivered directly. Thread-safe.

    Attributes:
        queue: those that wait.
        pipeline: what delivers them.
        segment_too: whether Segment's cloud delivers them as well.
    """

    def __init__(
        self,
        config: Config,
        account: LibratoConfig | OpenTelemetryConfig,
        report: Reporter,
        clock: Clock,
        load: Callable[[], object],
    ) -> None:
        """Make the pipeline; it connects when it first sends.

        Args:
            config: the client's options.
            account: where measurements go.
            report: is told what will not be delivered.
            clock: what waits go by.
            load: imports what sending needs.

        Raises:
            ConfigError: the extra that the account needs is not installed.
        """
        self.segment_too = account.segment_too
        options = config.with_options(
            thread=1,
            oauth_client_id=None,
            oauth_client_key=None,
            oauth_key_id=None,
            **account.budget,
        )
        self._is_sync = config.sync_mode
        # What is sent inside its call finds nothing to be folded with.
        self._period = 0 if config.sync_mode else account.aggregate
        rules = BatchRules(
            trigger=MAX_MEASUREMENTS,
            max_messages=MAX_MEASUREMENTS,
            max_bytes=MAX_REQUEST_BYTES,
            interval=options.upload_interval,
        )
        self.queue = _make_queue(options, rules, self._period, clock)
        transport = LazyTransport(_transport_maker(account), load)
        table = LIBRATO if isinstance(account, LibratoConfig) else OTLP
        self.pipeline = Pipeline(options, self.queue, transport, report, table)

    def measurement(self, message: Mapping[str, Any]) -> Measurement | None:
        """Return what a message measures, as it is sent."""
        return map_message(message)

    def accept(self, measurement: Measurement) -> bool:
        """Take a measurement in; see `Pipeline.accept`."""
        if self._period:
            now = int(time.time())
            return self.pipeline.accept(MultiSample(measurement, self._period, now))
        name, value, measure_time, source = measurement
        data = encode(name, {"value": value}, measure_time, source)
        return deliver_now(self.pipeline, data) if self._is_sync else self.pipeline.accept(data)

    @property
    def stats(self) -> Stats:
        """The counters; measurements that were folded count as one."""
        return self.queue.ledger.stats()


def _make_queue(options: Config, rules: BatchRules, period: float, clock: Clock) -> MessageQueue:
    bounds = (options.max_queue_size, rules)
    if period:
        return GaugeQueue(*bounds, period, options.max_queue_bytes, clock)
    return MessageQueue(*bounds, options.max_queue_bytes, clock)


def _transport_maker(account: LibratoConfig | OpenTelemetryConfig) -> Callable[[], Transport]:
    """Return what makes the transport; that an extra is missing shows now."""
    if isinstance(account, LibratoConfig):
        return lambda: _make_librato_transport(account)
    from segment_librato.gauge_delivery.otlp import OpenTelemetryTransport  # an extra

    transport = OpenTelemetryTransport(account)
    return lambda: transport


def _make_librato_transport(account: LibratoConfig) -> Transport:
    from segment_librato.gauge_delivery.librato import LibratoTransport  # it imports HTTP

    return LibratoTransport(account)
