"""Where the messages of a client go: to Segment, directly to Librato, to both, or nowhere.

Owns the pipelines of a client, and that one call is for all of them. Knows nothing of HTTP, or
of how a message was built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segment_librato.config.client import Config
from segment_librato.delivery.pipeline import Pipeline
from segment_librato.encoding.encoder import message_encoder
from segment_librato.process.clock import Clock
from segment_librato.queue.batch import MAX_BATCH_MESSAGES, BatchRules, room_for_messages
from segment_librato.queue.message_queue import MessageQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.delivery.consumer import Consumer, Transport
    from segment_librato.delivery.report import Reporter
    from segment_librato.gauge_delivery.pipeline import Gauges
    from segment_librato.message.build import Message
    from segment_librato.transport.oauth import TokenProvider

__all__ = ["Destinations"]

SHORTEST_PAUSE = 0.001
LONGEST_PAUSE = 0.02


class Destinations:
    """The pipelines of a client. Thread-safe.

    Attributes:
        queue: the messages that wait for Segment.
        gauges: the measurements that are delivered directly, if any are.
    """

    def __init__(self, config: Config, report: Reporter, clock: Clock | None = None) -> None:
        """Make the pipelines; they start with the first message.

        Args:
            config: the client's options.
            report: who is told what will not be delivered.
            clock: what the waits go by.

        Raises:
            ConfigError: an option needs an extra that is not installed.
        """
        self._config = config
        self._report = report
        self._clock = clock or Clock()
        self._encode = message_encoder()
        self.queue = MessageQueue(
            config.max_queue_size, _batch_rules(config), config.max_queue_bytes, self._clock
        )
        self._segment = _make_pipeline(config, self.queue, report)
        self.gauges = _make_gauges(config, report, self._clock)
        self._pipelines = [
            pipeline
            for pipeline in (self._segment, self.gauges and self.gauges.pipeline)
            if pipeline
        ]

    def accept(self, message: Message) -> tuple[bool, Message]:
        """Encode a message and queue it, and its measurement for direct delivery.

        Returns:
            Whether it was accepted, and the message as it is sent. With Segment as a destination
            it says so of the message, otherwise of the measurement. What was not accepted was
            reported.

        Raises:
            MessageTooLargeError: the message exceeds 32 KB.
        """
        data, as_sent = self._encode(message)
        if self.gauges is None and self._segment:
            return self._segment.accept(data), as_sent
        measurement = self.gauges.measurement(as_sent) if self.gauges else None
        if not self._segment:
            if reason := self.queue.refusal():
                self._report.rejection(reason, data)
                return False, as_sent
            accepted = self.gauges.accept(measurement) if self.gauges and measurement else True
            return accepted, as_sent
        if self.gauges and measurement:
            if not self.gauges.segment_too:
                data, as_sent = self._encode(_without_librato(as_sent))
            self.gauges.accept(measurement)
        return self._segment.accept(data), as_sent

    def flush(self, timeout: float | None) -> bool:
        """Send what was accepted so far; return whether all of it has an outcome in time."""
        return self._finish(lambda pipeline, deadline: pipeline.flush(deadline), timeout)

    def join(self, timeout: float | None) -> bool:
        """Flush and end the threads; the next message starts them again."""
        return self._finish(lambda pipeline, deadline: pipeline.join(deadline), timeout)

    def shutdown(self, timeout: float | None) -> bool:
        """Take no more in, flush, stop; what is left when the time is over goes to `on_error`."""
        for queue in self.queues:
            queue.close()
        if self._is_held_by_caller():
            return False  # they stop when they have delivered
        return self._finish(lambda pipeline, deadline: pipeline.shutdown(deadline), timeout)

    async def aflush(self, timeout: float | None) -> bool:
        """Flush as `flush` does, without blocking the event loop."""
        if self._is_held_by_caller():
            return False
        deadline = None if timeout is None else self._clock.deadline(timeout)
        marks = [(pipeline, pipeline.begin_flush()) for pipeline in self._pipelines]
        if not all(is_served for _, (_, is_served) in marks):
            return self.flush(timeout)  # no thread can be started: there is no other way
        return await self._wait_until(
            lambda: all(pipeline.is_settled(mark) for pipeline, (mark, _) in marks), deadline
        )

    async def ashutdown(self, timeout: float) -> bool:
        """Shut down as `shutdown` does, without blocking the event loop."""
        import asyncio  # noqa: PLC0415  see `_wait_until`

        deadline = self._clock.deadline(timeout)
        for queue in self.queues:
            queue.close()
        settled = await self.aflush(timeout)
        if settled:
            await self._wait_until(
                lambda: all(pipeline.is_deserted() for pipeline in self._pipelines), deadline
            )
        try:  # elsewhere, because it calls `on_error` with what is left
            await asyncio.get_running_loop().run_in_executor(None, self.shutdown, 0)
        except RuntimeError:  # no thread can be started
            self.shutdown(0)
        return settled

    @property
    def queues(self) -> list[MessageQueue]:
        """The queues of all pipelines."""
        return [self.queue, self.gauges.queue] if self.gauges else [self.queue]

    @property
    def consumers(self) -> list[Consumer]:
        """The background workers."""
        if self._config.sync_mode:
            return []
        return [consumer for pipeline in self._pipelines for consumer in pipeline.consumers]

    def _finish(
        self, finish: Callable[[Pipeline, float | None], bool], timeout: float | None
    ) -> bool:
        """Have all pipelines do something at the same time, within one deadline.

        A caller within `on_error` waits for none of them, as one waits for it.
        """
        if self._is_held_by_caller():
            timeout = 0
        deadline = None if timeout is None else self._clock.deadline(timeout)
        for pipeline in self._pipelines:
            pipeline.send_at_once()
        outcomes = [finish(pipeline, deadline) for pipeline in self._pipelines]
        return all(outcomes)

    async def _wait_until(self, condition: Callable[[], bool], deadline: float | None) -> bool:
        """Wait until a condition holds; return False at the deadline.

        It looks again and again: a thread that waits would outlive a caller that is cancelled.
        """
        import asyncio  # noqa: PLC0415  who runs an event loop has it loaded; others need not

        pause = SHORTEST_PAUSE
        while not condition():
            left = LONGEST_PAUSE if deadline is None else deadline - self._clock.now()
            if left <= 0:
                return False
            await asyncio.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_PAUSE)
        return True

    def _is_held_by_caller(self) -> bool:
        return any(pipeline.is_held_by_caller() for pipeline in self._pipelines)


def _without_librato(message: Message) -> Message:
    """Return a message that Segment keeps from Librato, so that nothing counts twice."""
    integrations = {**message["integrations"], "Librato": False}
    return {**message, "integrations": integrations}


def _batch_rules(config: Config) -> BatchRules:
    """Let a batch grow under backlog, unless the application chose a size."""
    trigger = min(config.upload_size, MAX_BATCH_MESSAGES)
    return BatchRules(
        trigger=trigger,
        max_messages=MAX_BATCH_MESSAGES if trigger == Config.upload_size else trigger,
        max_bytes=room_for_messages(config.write_key or ""),
        interval=config.upload_interval,
    )


def _make_pipeline(config: Config, queue: MessageQueue, report: Reporter) -> Pipeline | None:
    """Make what delivers to Segment, if that is a destination."""
    if not (config.send and config.write_key):
        return None
    tokens = _make_token_provider(config) if config.uses_oauth else None
    return Pipeline(config, queue, lambda: _make_transport(config, tokens), report)


def _make_token_provider(config: Config) -> TokenProvider:
    from segment_librato.transport.oauth import TokenProvider  # noqa: PLC0415  it imports HTTP

    return TokenProvider(config)


def _make_transport(config: Config, tokens: TokenProvider | None) -> Transport:
    from segment_librato.preload import SegmentTransport  # noqa: PLC0415  it imports HTTP

    return SegmentTransport(config, tokens)


def _make_gauges(config: Config, report: Reporter, clock: Clock) -> Gauges | None:
    """Make what delivers measurements directly, if there is an account for them."""
    if not (config.send and config.librato):
        return None
    from segment_librato.gauge_delivery.pipeline import Gauges  # noqa: PLC0415  few need it

    return Gauges(config, config.librato, report, clock)
