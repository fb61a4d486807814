"""The second pipeline: it delivers measurements directly, with the same parts as messages.

Owns the choice of those parts: queue, batch size, budgets and transport. Must not know HTTP, or
how a measurement is sent.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from segment_librato.config.gauges import LibratoConfig
from segment_librato.config.spool import SpoolConfig
from segment_librato.delivery.kinds import make_pipeline
from segment_librato.delivery.retry import LIBRATO, OTLP
from segment_librato.delivery.sync import deliver_now
from segment_librato.gauge_delivery.aggregate import MultiSample
from segment_librato.gauge_delivery.queue import GaugeQueue
from segment_librato.gauge_delivery.wire import encode
from segment_librato.log import log
from segment_librato.queue.message_queue import MessageQueue
from segment_librato.queue.schedule import BatchRules
from segment_librato.transport.lazy import LazyTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.config.client import Config
    from segment_librato.config.gauges import OpenTelemetryConfig
    from segment_librato.counters import Stats
    from segment_librato.delivery.pipeline import Pipeline
    from segment_librato.delivery.report import Reporter
    from segment_librato.librato.mapper import Measurement
    from segment_librato.process.clock import Clock
    from segment_librato.spooling.spool import Spool
    from segment_librato.transport.base import Transport

__all__ = ["GaugePipeline"]

MAX_MEASUREMENTS = 300  # what the API documentation advises for one request
MAX_REQUEST_BYTES = 500_000  # 300 measurements are less than half of it


class GaugePipeline:
    """Delivers measurements to a Librato account or an OTLP endpoint. Thread-safe.

    Attributes:
        queue: the measurements that wait.
        pipeline: delivers them.
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
            report: told about measurements that will not be delivered.
            clock: the clock of waits.
            load: imports the modules that sending needs.

        Raises:
            ConfigError: the extra that the account needs is not installed.
        """
        self.segment_too: bool = account.segment_too
        self._is_disabled = _is_disabled(account)
        if self._is_disabled:
            log.debug("OTEL_SDK_DISABLED is true; no gauge is sent over OpenTelemetry")
        options = config.with_options(
            thread=1,
            oauth_client_id=None,
            oauth_client_key=None,
            oauth_key_id=None,
            **account.budget,
        )
        self._is_sync = config.sync_mode
        # In `sync_mode` a measurement is sent inside its call: there is nothing to fold it with.
        self._period = 0 if config.sync_mode else account.aggregate
        rules = BatchRules(
            trigger=MAX_MEASUREMENTS,
            max_messages=MAX_MEASUREMENTS,
            max_bytes=MAX_REQUEST_BYTES,
            interval=options.upload_interval,
        )
        self._spool: Spool | None = self._open_spool(options, account)
        self.queue: MessageQueue = _make_queue(options, rules, self._period, clock, self._spool)
        self._samples = _samples_maker(self._spool)
        transport = LazyTransport(_transport_maker(account), load, account.host_to_show)
        table = LIBRATO if isinstance(account, LibratoConfig) else OTLP
        self.pipeline: Pipeline = make_pipeline(
            options, self.queue, transport, report, table, self._spool
        )

    def accept(self, measurement: Measurement) -> bool:
        """Take a measurement in; return whether it was accepted. See `Pipeline.accept`.

        With OpenTelemetry disabled, it is taken and dropped, as all is by a client with `send` off.
        """
        if self._is_disabled:
            return True
        if self._period:
            now = int(time.time())
            return self.pipeline.accept(self._samples(measurement, self._period, now))
        name, value, measure_time, source = measurement
        data = encode(name, {"value": value}, measure_time, source)
        return deliver_now(self.pipeline, data) if self._is_sync else self.pipeline.accept(data)

    @property
    def stats(self) -> Stats:
        """The counters; measurements that were folded together count as one."""
        stats = self.queue.ledger.stats()
        return stats._replace(spool=self._spool.stats()) if self._spool else stats

    def _open_spool(
        self, options: Config, account: LibratoConfig | OpenTelemetryConfig
    ) -> Spool | None:
        """Open the spool of measurements, if there is one.

        Raises:
            ConfigError: its folder cannot be made, or is not safe.
        """
        if self._is_disabled or not isinstance(options.spool, SpoolConfig):
            return None
        from segment_librato.spooling.spool import Spool  # few need it

        return Spool.open(options.spool, account.identity, account.destination)


def _is_disabled(account: LibratoConfig | OpenTelemetryConfig) -> bool:
    """Return whether the environment keeps this account from sending."""
    if isinstance(account, LibratoConfig):
        return False
    from segment_librato.gauge_delivery.otlp_endpoint import is_disabled  # an extra

    return is_disabled()


def _make_queue(
    options: Config, rules: BatchRules, period: float, clock: Clock, spool: Spool | None
) -> MessageQueue:
    bounds = (options.max_queue_size, rules)
    if spool and period:
        from segment_librato.gauge_delivery.spooled_queue import SpooledGaugeQueue  # few need it

        return SpooledGaugeQueue(spool, *bounds, period, options.max_queue_bytes, clock)
    if spool:
        from segment_librato.queue.spooled_queue import SpooledQueue  # few need it

        return SpooledQueue(spool, *bounds, options.max_queue_bytes, clock)
    if period:
        return GaugeQueue(*bounds, period, options.max_queue_bytes, clock)
    return MessageQueue(*bounds, options.max_queue_bytes, clock)


def _samples_maker(spool: Spool | None) -> type[MultiSample]:
    """Return the class of the gauges that wait."""
    if not spool:
        return MultiSample
    from segment_librato.gauge_delivery.spooled_queue import SpooledSamples  # few need it

    return SpooledSamples


def _transport_maker(account: LibratoConfig | OpenTelemetryConfig) -> Callable[[], Transport]:
    """Return a function that makes the transport.

    Raises:
        ConfigError: the extra that the account needs is not installed.
    """
    if isinstance(account, LibratoConfig):
        return lambda: _make_librato_transport(account)
    from segment_librato.gauge_delivery.otlp import OpenTelemetryTransport  # an extra

    transport = OpenTelemetryTransport(account)
    return lambda: transport


def _make_librato_transport(account: LibratoConfig) -> Transport:
    from segment_librato.gauge_delivery.librato import LibratoTransport  # it imports HTTP

    return LibratoTransport(account)
