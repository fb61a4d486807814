"""Where a call goes: to Segment, directly to the destination of gauges, to both, or nowhere.

Owns the pipelines of a client: flush, join and shutdown cover all of them; and that a test which
records gets the messages instead (`recording`). Must not know HTTP, or how a message was built. It
is long because every part of a client is put together here.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from segment_librato.config.client import Config
from segment_librato.config.spool import SpoolConfig
from segment_librato.config.validators import host_of
from segment_librato.delivery.aio import begin_flush, poll
from segment_librato.delivery.kinds import make_pipeline
from segment_librato.delivery.retry import SEGMENT
from segment_librato.delivery.sync import deliver_now
from segment_librato.encoding.encoder import message_encoder
from segment_librato.encoding.sizes import estimated_size, largest_part
from segment_librato.errors import ClientClosedError, MessageTooLargeError, SegmentError
from segment_librato.foreign.interruption import is_interruption
from segment_librato.librato.mapper import map_message
from segment_librato.log import log
from segment_librato.preload import preload
from segment_librato.process.clock import Clock
from segment_librato.process.fork import notice_fork
from segment_librato.queue.message_queue import MessageQueue
from segment_librato.queue.schedule import BatchRules
from segment_librato.recording import last_recording, recordings
from segment_librato.transport.envelope import MAX_BATCH_MESSAGES, max_message_bytes
from segment_librato.transport.lazy import LazyTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.delivery.consumer import Consumer
    from segment_librato.delivery.pipeline import Pipeline
    from segment_librato.delivery.report import Reporter
    from segment_librato.encoding.encoder import EncodeMessage
    from segment_librato.gauge_delivery.pipeline import GaugePipeline
    from segment_librato.librato.mapper import Measurement
    from segment_librato.message.fields import Message
    from segment_librato.recording import Recording
    from segment_librato.spooling.spool import Spool
    from segment_librato.transport.base import Transport
    from segment_librato.transport.oauth import TokenProvider

__all__ = ["Router"]

MASK = "***"
MIN_KEY_LENGTH = 8  # of a real write key; those of Segment have 32 characters, early ones 10


class Router:
    """The pipelines of a client. Thread-safe.

    Attributes:
        queue: the messages that wait for Segment.
        gauges: the measurements that are delivered directly, if any are.
        spool: what is on disk of the messages for Segment, if they are spooled.
    """

    def __init__(self, config: Config, report: Reporter, clock: Clock | None = None) -> None:
        """Make the pipelines; they start with the first message.

        Args:
            config: the client's options.
            report: told about messages that will not be delivered.
            clock: the clock of waits.

        Raises:
            ConfigError: an option needs an extra that is not installed.
        """
        self._is_of_test = bool(recordings)
        if self._is_of_test:
            config = config.with_options(send=False)  # for good: the key may be a real one
        self._config = config
        self._report = report
        self._clock = clock or Clock()
        self._encode = _logged(message_encoder(), config) if config.debug else message_encoder()
        spool = _open_spool(config)
        self.queue: MessageQueue = _make_queue(config, spool, self._clock)
        self.spool: Spool | None = spool
        self._segment = _make_pipeline(config, self.queue, report, spool)
        self.gauges: GaugePipeline | None = _make_gauges(config, report, self._clock)
        self._pipelines = [
            pipeline
            for pipeline in (self._segment, self.gauges and self.gauges.pipeline)
            if pipeline
        ]
        self._has_warned = False
        # All that most clients do: a message goes to Segment in the background.
        is_usual = self._segment and not self.gauges and not config.sync_mode
        self._accept_usual = self._segment.accept if self._segment and is_usual else None

    def accept(self, message: Message) -> tuple[bool, Message]:
        """Encode a message and queue it, and its measurement for direct delivery.

        Returns:
            Whether it was accepted, and the message as it is sent. The first is about the message
            if messages go to Segment, otherwise about the measurement. What was rejected has been
            reported.

        Raises:
            MessageTooLargeError: the message exceeds 32 KB.
            SegmentError: in `sync_mode`, it was not delivered, and there is no `on_error`.
        """
        try:
            data, as_sent = self._encode(message)
        except MessageTooLargeError as error:
            part, size = largest_part(message), estimated_size(message)
            raise error.with_largest(part, size) from None
        if recordings and (recording := last_recording()):
            return self._record(recording, data, as_sent)
        if self._accept_usual:
            return self._accept_usual(data), as_sent
        measurement = map_message(as_sent) if self.gauges else None
        if not self._segment:
            return self._accept_without_segment(measurement, data), as_sent
        failure = None
        if self.gauges and measurement:
            if not self.gauges.segment_too:
                data, as_sent = message_encoder()(_without_librato(as_sent))
            try:
                self.gauges.accept(measurement)
            except SegmentError as error:  # in `sync_mode`; it does not keep the message
                failure = error
        if not self._config.sync_mode:
            return self._segment.accept(data), as_sent
        accepted = deliver_now(self._segment, data)
        if failure:
            raise failure
        return accepted, as_sent

    def _accept_without_segment(self, measurement: Measurement | None, data: bytes) -> bool:
        self._warn_of_silence()
        if reason := self.queue.reject_if_closed():
            self._report.rejection(reason, data)
            return False
        return self.gauges.accept(measurement) if self.gauges and measurement else True

    def _record(self, recording: Recording, data: bytes, as_sent: Message) -> tuple[bool, Message]:
        """Let a test have a message and its measurement, as they would be sent; see `accept`."""
        reason = self.queue.reject_if_closed()
        if not reason and self.closed:
            reason = ClientClosedError("the client was shut down")
        if reason:
            self._report.rejection(reason, data)
            if self._config.sync_mode and not self._report.has_on_error:
                raise reason.with_traceback(None) from None
            return False, as_sent
        measurement, gauges = map_message(as_sent), self._config.gauges
        if measurement and self._config.write_key and gauges and not gauges.segment_too:
            data, as_sent = message_encoder()(_without_librato(as_sent))
        recording.entries.append((data, measurement))
        return True, as_sent

    def _warn_of_silence(self) -> None:
        """Warn once of a reason why nothing goes to Segment that the application may not know.

        Not when the client is made, which may happen under a lock.
        """
        if self._has_warned:
            return
        if self._is_of_test:
            self._has_warned = True
            log.warning("nothing is sent: this client was made while a test recorded messages")
        elif self._config.send and self._config.write_key == "":
            self._has_warned = True
            log.warning("write_key is empty: nothing is sent to Segment")

    def flush(self, timeout: float | None) -> bool:
        """Send what was accepted so far; return whether all of it has an outcome in time.

        While a test records there is nothing to send, and what was accepted before is none of its
        business. The same holds for all that finishes.
        """
        if recordings:
            return True
        notice_fork()
        self._adopt()
        return self._finish(lambda pipeline, deadline: pipeline.flush(deadline), timeout)

    def join(self, timeout: float | None) -> bool:
        """Flush and end the threads; the next message starts them again."""
        if recordings:
            return True
        return self._finish(lambda pipeline, deadline: pipeline.join(deadline), timeout)

    def shutdown(self, timeout: float | None) -> bool:
        """Reject messages from now on, flush, stop; what is left in the end goes to `on_error`."""
        if recordings and (recording := last_recording()):
            recording.closed.add(self)
            return True
        notice_fork()
        for queue in self.queues:
            queue.close()
        if self._called_from_delivery():
            return False  # the threads stop when they have delivered
        return self._finish(lambda pipeline, deadline: pipeline.shutdown(deadline), timeout)

    def send_at_once(self) -> None:
        """Start sending all that waits, without waiting for it. Takes no lock."""
        for pipeline in () if recordings else self._pipelines:
            pipeline.send_at_once()

    async def aflush(self, timeout: float | None) -> bool:
        """Flush as `flush` does, without blocking the event loop."""
        if recordings:
            return True
        notice_fork()
        if self._called_from_delivery():
            return False
        deadline = None if timeout is None else self._clock.deadline(timeout)
        self._adopt()
        is_settled = begin_flush(self._pipelines)
        if is_settled is None:
            return self.flush(timeout)  # no thread can be started: there is no other way
        return await poll(is_settled, self._clock, deadline)

    def _adopt(self) -> None:
        for pipeline in self._pipelines:
            pipeline.adopt()

    async def ashutdown(self, timeout: float) -> bool:
        """Shut down as `shutdown` does, without blocking the event loop."""
        if recordings:
            return self.shutdown(timeout)
        import asyncio  # a program that runs an event loop has loaded it already

        notice_fork()
        deadline = self._clock.deadline(timeout)
        for queue in self.queues:
            queue.close()
        settled = await self.aflush(timeout)
        if settled:
            await poll(
                lambda: all(pipeline.has_no_workers() for pipeline in self._pipelines),
                self._clock,
                deadline,
            )
        try:  # on another thread, because it calls `on_error` with what is left
            await asyncio.get_running_loop().run_in_executor(None, self.shutdown, 0)
        except RuntimeError as error:  # no thread can be started
            if is_interruption(error):
                raise
            self.shutdown(0)
        return settled

    @property
    def closed(self) -> bool:
        """Whether the client was shut down."""
        return self.queue.closed or any(self in one.closed for one in recordings.copy())

    @property
    def queues(self) -> list[MessageQueue]:
        """The queues of all pipelines."""
        return [self.queue, self.gauges.queue] if self.gauges else [self.queue]

    @property
    def consumers(self) -> list[Consumer]:
        """The background workers."""
        return [consumer for pipeline in self._pipelines for consumer in pipeline.consumers]

    def _finish(
        self, finish: Callable[[Pipeline, float | None], bool], timeout: float | None
    ) -> bool:
        """Finish all pipelines within one deadline: all of them send, then each is waited for.

        A call from `on_error` waits for none of them, as one of them waits for it.
        """
        notice_fork()
        if self._called_from_delivery():
            timeout = 0
        deadline = None if timeout is None else self._clock.deadline(timeout)
        self.send_at_once()
        outcomes = [finish(pipeline, deadline) for pipeline in self._pipelines]
        return all(outcomes)

    def _called_from_delivery(self) -> bool:
        return any(pipeline.called_from_delivery() for pipeline in self._pipelines)


def _logged(encode: EncodeMessage, config: Config) -> EncodeMessage:
    """Return an encoder that logs each message, but for the write key, if that is in it.

    A key that is too short to be a real one is masked only where it is all of a text.
    """
    key = config.write_key  # without `send` it may be anything
    masks: dict[str, str] = {}
    if key and isinstance(key, str):
        is_real = len(key) >= MIN_KEY_LENGTH
        masks = {key: MASK, repr(key)[1:-1]: MASK} if is_real else {repr(key): repr(MASK)}

    def encode_and_log(message: Message) -> tuple[bytes, Message]:
        data, as_sent = encode(message)
        if log.isEnabledFor(logging.DEBUG):
            text = repr(json.loads(data))  # nobody can change it meanwhile
            for hidden, mask in masks.items():
                text = text.replace(hidden, mask)
            log.debug("queueing: %s", text)
        return data, as_sent

    return encode_and_log


def _without_librato(message: Message) -> Message:
    """Return a copy that Segment does not pass on to Librato, so that nothing counts twice."""
    integrations = {**message["integrations"], "Librato": False}
    return {**message, "integrations": integrations}


def _batch_rules(config: Config) -> BatchRules:
    """Let a batch grow under backlog, unless the application chose a size."""
    trigger = min(config.upload_size, MAX_BATCH_MESSAGES)
    return BatchRules(
        trigger=trigger,
        max_messages=MAX_BATCH_MESSAGES if trigger == Config.upload_size else trigger,
        max_bytes=max_message_bytes((config.send and config.write_key) or ""),
        interval=config.upload_interval,
    )


def _open_spool(config: Config) -> Spool | None:
    """Open the spool of what goes to Segment, if anything does and there is one.

    Raises:
        ConfigError: its folder cannot be made, or is not safe.
    """
    if not (isinstance(config.spool, SpoolConfig) and config.send and config.write_key):
        return None
    from segment_librato.spooling.spool import Spool  # few need it

    return Spool.open(config.spool, config.write_key, config.batch_url)


def _make_queue(config: Config, spool: Spool | None, clock: Clock) -> MessageQueue:
    bounds = (config.max_queue_size, _batch_rules(config), config.max_queue_bytes, clock)
    if not spool:
        return MessageQueue(*bounds)
    from segment_librato.queue.spooled_queue import SpooledQueue  # few need it

    return SpooledQueue(spool, *bounds)


def _make_pipeline(
    config: Config, queue: MessageQueue, report: Reporter, spool: Spool | None
) -> Pipeline | None:
    """Make the pipeline to Segment, if messages go there."""
    if not (config.send and config.write_key):
        return None
    tokens = _make_token_provider(config) if config.uses_oauth else None
    host = host_of(config.batch_url)
    transport = LazyTransport(lambda: _make_transport(config, tokens), preload, host)
    return make_pipeline(config, queue, transport, report, SEGMENT, spool)


def _make_token_provider(config: Config) -> TokenProvider:
    from segment_librato.transport.oauth import TokenProvider  # it imports HTTP

    return TokenProvider(config)


def _make_transport(config: Config, tokens: TokenProvider | None) -> Transport:
    from segment_librato.transport.segment import SegmentTransport  # it imports HTTP

    return SegmentTransport(config, tokens)


def _make_gauges(config: Config, report: Reporter, clock: Clock) -> GaugePipeline | None:
    """Make the pipeline of gauges, if they are delivered directly."""
    if not (config.send and config.gauges):
        return None
    from segment_librato.gauge_delivery.pipeline import GaugePipeline  # few need it

    return GaugePipeline(config, config.gauges, report, clock, preload)
