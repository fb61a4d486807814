"""The client: one method per Segment call, which builds the message and hands it over.

Owns the public surface of a client, and the check of timeouts. Must not know HTTP, JSON, or how a
message is delivered. It is long because every signature is written out, for editors and type
checkers.
"""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Mapping
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Generic, TypeVar, overload

from segment_librato.config.client import (
    BeforeSend,
    Config,
    DefaultContext,
    OnDelivered,
    OnError,
)
from segment_librato.config.gauges import LibratoConfig, OpenTelemetryConfig
from segment_librato.config.spool import SpoolConfig
from segment_librato.config.validators import Timeout
from segment_librato.counters import Stats
from segment_librato.delivery.consumer import Consumer
from segment_librato.delivery.report import Reporter
from segment_librato.errors import ConfigError, ValidationError, unexpected, without_frames
from segment_librato.gauge_delivery.calls import configure, gauge_fields, gauge_settings
from segment_librato.gauge_delivery.timer import Timer
from segment_librato.hooks.router import make_router
from segment_librato.message.build import (
    add_alias_fields,
    add_group_fields,
    add_identify_fields,
    add_page_fields,
    build,
)
from segment_librato.message.fields import Identifier, Message, check_identifier
from segment_librato.message.scope import user_in_scope
from segment_librato.message.timestamp import Timestamp
from segment_librato.process.clock import Clock
from segment_librato.process.fork import notice_fork
from segment_librato.recording import recordings
from segment_librato.router import Router
from segment_librato.tracking import (
    AnyContext,
    AnyGroupTraits,
    AnyPageProperties,
    AnyScreenProperties,
    AnyUserTraits,
    Properties,
    Tracking,
)

if TYPE_CHECKING:
    from typing_extensions import Self

    from segment_librato.queue.message_queue import MessageQueue
else:
    Self = "Client"  # for `typing.get_type_hints`; `typing` has it from Python 3.11 on

__all__ = ["Client", "Properties"]

T = TypeVar("T")


class _Option(Generic[T]):
    """An option as a read-only attribute of the client."""

    def __set_name__(self, owner: type[Client], name: str) -> None:
        self._name = name
        self.__doc__ = f"The option `{name}` of this client."

    @overload
    def __get__(self, client: None, owner: type[Client]) -> Self: ...
    @overload
    def __get__(self, client: Client, owner: type[Client]) -> T: ...
    def __get__(self, client: Client | None, owner: type[Client]) -> T | Self:
        if client is None:
            return self
        value: T = getattr(client.config, self._name)
        return value

    def __set__(self, client: Client, value: T) -> None:
        raise AttributeError(f"{self._name} is fixed once the client is made; make another client")


class Client(Tracking):
    """A Segment client. Thread-safe; after construction, only invalid arguments raise.

    (And what keeps a message from delivery, in `sync_mode` without `on_error`.)

        with Client("YOUR_WRITE_KEY") as client:
            client.track("user-1", "Order Completed", {"value": 42})

    The calls `track`, `identify`, `group`, `alias`, `page`, `screen` and `gauge` check their
    arguments, encode the message and queue it; a background thread sends it. They return
    `(True, message)`, with the message as it is sent; or `(False, message)` if it was rejected,
    after `on_error` was called with the reason. `(True, message)` is also for a message that
    `before_send` or `sample_rate` has left out, which counts as `stats.dropped`.

    `shutdown()`, which the end of the `with` block calls, delivers what is queued. So does the
    exit of the interpreter, for up to `exit_timeout` seconds.

    Args:
        write_key: Write key of the source; required unless `gauges` is set.
        host: Base URL of the API; None or an empty str means https://api.segment.io.
        debug: Set the logger `segment` to DEBUG, and print to stderr if logging is not configured.
        max_queue_size: Maximum number of queued messages; 0 means unlimited.
        send: Send messages; False only checks and encodes them.
        on_error: Called as `on_error(error, messages)`, once for every message that will not be
            delivered.
        gzip: Compress requests.
        max_retries: Maximum number of retries per request.
        sync_mode: Send each message inside its call, without a background thread.
        timeout: Seconds to wait for a connection and for a response; a pair sets them apart.
        proxies: Scheme to proxy URL, as `requests` takes it.
        thread: Number of background threads, each with one request at a time.
        upload_size: Queue length that triggers an upload.
        upload_interval: Longest time, in seconds, to wait for a batch to fill.
        log_handler: Handler to add to the logger `segment`, where it stays.
        oauth_client_id: Id of the OAuth application.
        oauth_client_key: RSA private key of the OAuth application, in PEM.
        oauth_key_id: Id of that key.
        oauth_auth_server: Base URL of the server that issues the tokens.
        oauth_scope: Scope of the tokens.
        max_total_backoff_duration: Longest time, in seconds, that a request is retried after its
            first failure.
        max_rate_limit_duration: Longest time, in seconds, that the server may postpone a request by
            `Retry-After`.
        exit_timeout: Longest time, in seconds, that the interpreter waits at its exit for pending
            messages.
        shutdown_timeout: Longest time, in seconds, that `shutdown()` waits if it is called without
            a timeout.
        sync_timeout: Longest time, in seconds, that a call takes in `sync_mode`, with its retries.
        max_queue_bytes: Maximum size of the queued messages as JSON, in bytes, at least 65,536; 0
            means unlimited.
        block_on_full: Longest time, in seconds, that a call waits for room in a full queue before
            its message is rejected.
        gauges: Deliver gauges directly, to a Librato account or over OpenTelemetry.
        flush_in_children: Let the first message of a `multiprocessing` child call
            `flush_on_sigterm()`.
        spool: Folder that keeps messages on disk: a path, or a `SpoolConfig` with more options.
        before_send: Called as `before_send(message)` with a copy of each message; what it returns
            is sent, and None drops the message.
        default_context: Context that every message gets under that of its call, or a function that
            returns it for each call.
        sample_rate: Event name to the share of users, 0 to 1, whose events of that name are sent.
        trace_context: Put the trace and span ids of the active OpenTelemetry span into
            `context.trace`.
        on_delivered: Called as `on_delivered(messages)` with messages for which the server reported
            success.

    Raises:
        ConfigError: an option has a wrong type or value; the text names it.
    """

    log: logging.Logger = logging.getLogger("segment")

    _clock: Clock | None = None  # None means the clock of the system

    DefaultConfig: type[Config] = Config

    # <options as attributes>, by `make options`
    write_key: _Option[str | None] = _Option()
    host: _Option[str | None] = _Option()
    debug: _Option[bool] = _Option()
    max_queue_size: _Option[int] = _Option()
    send: _Option[bool] = _Option()
    on_error: _Option[OnError | None] = _Option()
    gzip: _Option[bool] = _Option()
    max_retries: _Option[int] = _Option()
    sync_mode: _Option[bool] = _Option()
    timeout: _Option[Timeout] = _Option()
    proxies: _Option[Mapping[str, str] | None] = _Option()
    thread: _Option[int] = _Option()
    upload_size: _Option[int] = _Option()
    upload_interval: _Option[float] = _Option()
    log_handler: _Option[logging.Handler | None] = _Option()
    oauth_client_id: _Option[str | None] = _Option()
    oauth_client_key: _Option[str | None] = _Option()
    oauth_key_id: _Option[str | None] = _Option()
    oauth_auth_server: _Option[str] = _Option()
    oauth_scope: _Option[str] = _Option()
    max_total_backoff_duration: _Option[float] = _Option()
    max_rate_limit_duration: _Option[float] = _Option()
    exit_timeout: _Option[float] = _Option()
    shutdown_timeout: _Option[float] = _Option()
    sync_timeout: _Option[float] = _Option()
    max_queue_bytes: _Option[int] = _Option()
    block_on_full: _Option[float] = _Option()
    gauges: _Option[LibratoConfig | OpenTelemetryConfig | None] = _Option()
    flush_in_children: _Option[bool] = _Option()
    spool: _Option[str | os.PathLike[str] | SpoolConfig | None] = _Option()
    before_send: _Option[BeforeSend | None] = _Option()
    default_context: _Option[DefaultContext | None] = _Option()
    sample_rate: _Option[Mapping[str, float] | None] = _Option()
    trace_context: _Option[bool] = _Option()
    on_delivered: _Option[OnDelivered | None] = _Option()
    # </options as attributes>

    def __init__(
        self,
        # <options>, by `make options`
        write_key: str | None = None,
        host: str | None = None,
        debug: bool = Config.debug,
        max_queue_size: int = Config.max_queue_size,
        send: bool = Config.send,
        on_error: OnError | None = None,
        gzip: bool = Config.gzip,
        max_retries: int = Config.max_retries,
        sync_mode: bool = Config.sync_mode,
        timeout: Timeout = Config.timeout,
        proxies: Mapping[str, str] | None = None,
        thread: int = Config.thread,
        upload_size: int = Config.upload_size,
        upload_interval: float = Config.upload_interval,
        log_handler: logging.Handler | None = None,
        oauth_client_id: str | None = None,
        oauth_client_key: str | None = None,
        oauth_key_id: str | None = None,
        oauth_auth_server: str = Config.oauth_auth_server,
        oauth_scope: str = Config.oauth_scope,
        max_total_backoff_duration: float = Config.max_total_backoff_duration,
        max_rate_limit_duration: float = Config.max_rate_limit_duration,
        *,
        exit_timeout: float = Config.exit_timeout,
        shutdown_timeout: float = Config.shutdown_timeout,
        sync_timeout: float = Config.sync_timeout,
        max_queue_bytes: int = Config.max_queue_bytes,
        block_on_full: float = Config.block_on_full,
        gauges: LibratoConfig | OpenTelemetryConfig | None = None,
        flush_in_children: bool = Config.flush_in_children,
        spool: str | os.PathLike[str] | SpoolConfig | None = None,
        before_send: BeforeSend | None = None,
        default_context: DefaultContext | None = None,
        sample_rate: Mapping[str, float] | None = None,
        trace_context: bool = Config.trace_context,
        on_delivered: OnDelivered | None = None,
        # </options>
    ) -> None:
        options = {name: value for name, value in locals().items() if name != "self"}
        try:
            self.config: Config = Config(**options)
            self._report: Reporter = Reporter(self.config.on_error, self.config.on_delivered)
            self._router: Router = make_router(self.config, self._report, self._clock)
        except ConfigError as error:
            # An error tracker would upload them.
            del options, write_key, host, proxies, oauth_client_key, oauth_auth_server, gauges
            del default_context
            raise without_frames(error)  # noqa: B904  it is the same one
        self.queue: MessageQueue = self._router.queue
        weakref.finalize(self, _close, self._router.queues).atexit = False
        self._set_up_logging()

    def __repr__(self) -> str:
        """Name the client without its secrets."""
        pending = sum(queue.ledger.stats().pending for queue in self._router.queues)
        destinations = " and ".join(self.config.destinations) or "no destination"
        return f"<Client of {destinations}, messages pending: {pending}>"

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Flush and shut down."""
        self.shutdown()

    async def __aenter__(self) -> Self:
        """Return the client itself."""
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Flush and shut down, without blocking the event loop."""
        await self._router.ashutdown(self.config.shutdown_timeout)

    def identify(
        self,
        user_id: Identifier | None = None,
        traits: AnyUserTraits | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]:
        """Record what you know about a user: `traits`. See `track` for the other arguments."""
        message = build(
            "identify", user_id, anonymous_id, context, timestamp, integrations, message_id
        )
        add_identify_fields(message, traits)
        return self._router.accept(message)

    def group(
        self,
        user_id: Identifier | None = None,
        group_id: Identifier | None = None,
        traits: AnyGroupTraits | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]:
        """Record that a user belongs to a group, and the `traits` of the group. See `track`."""
        message = build(
            "group", user_id, anonymous_id, context, timestamp, integrations, message_id
        )
        add_group_fields(message, group_id, traits)
        return self._router.accept(message)

    def alias(
        self,
        previous_id: Identifier | None = None,
        user_id: Identifier | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]:
        """Record that `previous_id` and `user_id` are the same user. See `track`."""
        user = user_in_scope() if user_id is None else None
        user = user or check_identifier("user_id", user_id)  # `build` would name two ids
        message = build("alias", user, None, context, timestamp, integrations, message_id)
        add_alias_fields(message, previous_id)
        return self._router.accept(message)

    def page(
        self,
        user_id: Identifier | None = None,
        category: str | None = None,
        name: str | None = None,
        properties: AnyPageProperties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]:
        """Record that a user saw a page of a website. See `track`."""
        message = build("page", user_id, anonymous_id, context, timestamp, integrations, message_id)
        add_page_fields(message, category, name, properties)
        return self._router.accept(message)

    def screen(
        self,
        user_id: Identifier | None = None,
        category: str | None = None,
        name: str | None = None,
        properties: AnyScreenProperties | None = None,
        context: AnyContext | None = None,
        timestamp: Timestamp | None = None,
        anonymous_id: Identifier | None = None,
        integrations: Properties | None = None,
        message_id: Identifier | None = None,
    ) -> tuple[bool, Message]:
        """Record that a user saw a screen of an app. See `track`."""
        message = build(
            "screen", user_id, anonymous_id, context, timestamp, integrations, message_id
        )
        add_page_fields(message, category, name, properties)
        return self._router.accept(message)

    def gauge(
        self,
        name: str,
        value: float | Decimal,
        source: str | None = None,
        user_id: Identifier | None = None,
        *,
        timestamp: Timestamp | None = None,
    ) -> tuple[bool, Message]:
        """Put a number on a graph: `gauge("queue.depth", 42, source="web-1")`.

        Short for a `track` call: the name is the event, the value and the source are those of a
        Librato measurement. Without a user, the source is the anonymous id.

        Args:
            name: Name of the gauge; up to 255 characters.
            value: The number.
            source: Origin of the number, usually a host; None means the name.
            user_id: User that the number belongs to.
            timestamp: When the number was measured, as in `track`. None means now.

        Returns:
            Whether the message was accepted, and the message as it is sent.

        Raises:
            ValidationError: an argument has a wrong type or value.
        """
        properties, context, anonymous_id = gauge_fields(name, value, source, user_id)
        return self.track(user_id, name, properties, context, timestamp, anonymous_id)

    def increment(
        self,
        name: str,
        amount: float | Decimal = 1,
        source: str | None = None,
        user_id: Identifier | None = None,
        *,
        timestamp: Timestamp | None = None,
    ) -> tuple[bool, Message]:
        """Count something on a graph: `increment("jobs.failed", source="worker-1")`.

        A gauge whose value is the amount: the sum of a period is how much was counted in it.

        Args:
            name: Name of the gauge; up to 255 characters.
            amount: How much to add; a negative number takes away.
            source: Origin of the number, usually a host; None means the name.
            user_id: User that the number belongs to.
            timestamp: When it happened, as in `track`. None means now.

        Returns:
            Whether the message was accepted, and the message as it is sent.

        Raises:
            ValidationError: an argument has a wrong type or value.
        """
        fields = gauge_fields(name, amount, source, user_id, "amount")
        properties, context, anonymous_id = fields
        return self.track(user_id, name, properties, context, timestamp, anonymous_id)

    def timer(
        self, name: str, source: str | None = None, user_id: Identifier | None = None
    ) -> Timer:
        """Put on a graph how many seconds something takes.

            with client.timer("job.duration", source="worker-1"):
                run()

        Also a decorator, of functions and coroutine functions: each call is measured. What raises
        is measured, too.

        Args:
            name: Name of the gauge; up to 255 characters.
            source: Origin of the number, usually a host; None means the name.
            user_id: User that the number belongs to.

        Returns:
            A context manager, which is a decorator as well.

        Raises:
            ValidationError: an argument has a wrong type or value.
        """
        return Timer(self.gauge, name, source, user_id)

    def configure_gauge(
        self,
        name: str,
        period: int = 60,
        summarize: str = "sum",
        aggregate: bool = True,
        display_name: str | None = None,
    ) -> None:
        """Set how Librato shows a gauge; creates the gauge if there is none.

        Needs the option `gauges` with a `LibratoConfig`. Sends one request, inside the call;
        repeating it changes nothing. The defaults are the display settings that Segment's
        documentation asks for: Period 60 s, Source Aggregation, "Average: Sum".

        Args:
            name: Name of the gauge, or of the event behind it.
            period: Seconds between the points of the gauge, 10 to 600.
            summarize: How Librato merges points when zoomed out: "average", "sum", "count",
                "min" or "max".
            aggregate: Have Librato fold what one source sends within a period.
            display_name: Name to show on the page.

        Raises:
            ConfigError: there is no `LibratoConfig`.
            ValidationError: an argument has a wrong type or value.
            APIError: Librato responded with an error.
            NetworkError: Librato did not respond.
        """
        settings = gauge_settings(period, summarize, aggregate, display_name)
        configure(self.config.gauges, name, settings, send=self.config.send and not recordings)

    def flush(self, timeout: float | None = None) -> bool:
        """Send all accepted messages, and wait until each is delivered or reported as failed.

        If it takes long, the log says why: after 5 seconds, then every 30.

        Args:
            timeout: Longest time to wait, in seconds; None waits until the retries end, which
                may be hours, or with a `spool` as long as its `max_age`.

        Returns:
            Whether all messages were settled in time. True does not mean that they were
            delivered: those that failed were reported to `on_error`, and `stats.failed` counts
            them. A call from `on_error`, on the thread that delivers, returns False at once.

        Raises:
            ValidationError: the timeout is neither a number nor None.
        """
        _check_timeout(timeout)
        return self._router.flush(timeout)

    async def aflush(self, timeout: float | None = None) -> bool:
        """Flush without blocking the event loop.

        Takes, returns and logs the same as `flush`. Cancelling it only stops the waiting: accepted
        messages are sent all the same.
        """
        _check_timeout(timeout)
        return await self._router.aflush(timeout)

    def join(self, timeout: float | None = None) -> bool:
        """Flush, and end the background threads; the next message starts them again.

        Takes and returns the same as `flush`.
        """
        _check_timeout(timeout)
        return self._router.join(timeout)

    def shutdown(self, timeout: float | None = None) -> bool:
        """Flush, then stop for good: later calls return `(False, message)`.

        Args:
            timeout: Longest time to wait, in seconds; None means the option `shutdown_timeout`.
                What is left then goes to `on_error` with a `ShutdownTimeoutError`, or stays in
                the `spool`.
                If another thread is calling `on_error` then, it gets up to 3 seconds more.

        Returns:
            Whether all messages were settled in time, as with `flush`.

        Raises:
            ValidationError: the timeout is neither a number nor None.
        """
        _check_timeout(timeout)
        seconds = self.config.shutdown_timeout if timeout is None else timeout
        return self._router.shutdown(seconds)

    @property
    def stats(self) -> Stats:
        """A snapshot of the counters: `accepted == delivered + failed + pending`."""
        notice_fork()
        stats = self.queue.ledger.stats()
        gauges = self._router.gauges
        if gauges:
            stats = stats._replace(gauges=gauges.stats)
        spool = self._router.spool
        return stats._replace(spool=spool.stats()) if spool else stats

    @property
    def consumers(self) -> list[Consumer]:
        """The background workers; their threads start with the first message.

        None in `sync_mode`, where there are none.
        """
        if self.config.sync_mode:
            return None  # type: ignore[return-value]  # most callers never see it
        return self._router.consumers

    def _set_up_logging(self) -> None:
        """Add `log_handler`; with `debug`, make sure that every record is shown."""
        if self.config.log_handler:
            self.log.addHandler(self.config.log_handler)
        if self.config.debug:
            self.log.setLevel(logging.DEBUG)
            if not self.log.hasHandlers():
                handler = logging.StreamHandler()
                handler.setFormatter(
                    logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s")
                )
                self.log.addHandler(handler)


def adopt_on_error(client: Client, config: Config) -> None:
    """Have a client go on with options that differ from its own in `on_error` at most."""
    client.config = config
    client._report.use(config.on_error)  # noqa: SLF001  of the default client, which may change


def report_setting(client: Client, problem: ConfigError, on_error: object) -> None:
    """Tell `on_error` of a setting that is wrong, while the client goes on without it."""
    if callable(on_error):
        client._report.use(on_error)  # noqa: SLF001  the same
    client._report.wrong_setting(problem)  # noqa: SLF001  the same


def send_at_once(client: Client) -> None:
    """Have a client send what it has accepted. Waits for nothing, and takes no lock."""
    client._router.send_at_once()  # noqa: SLF001  the same


def is_closed(client: Client) -> bool:
    """Return whether a client was shut down. Takes no lock."""
    return client._router.closed  # noqa: SLF001  the same


def is_settled(client: Client) -> bool:
    """Return whether a client has nothing to deliver. Takes no lock, as its `stats` do."""
    return all(queue.is_settled() for queue in client._router.queues)  # noqa: SLF001  the same


def _close(queues: list[MessageQueue]) -> None:
    """Deliver what a garbage-collected client has queued, then stop."""
    notice_fork()
    for queue in queues:
        queue.close()


def _check_timeout(timeout: object) -> None:
    if timeout is None:
        return
    if not isinstance(timeout, (int, float)) or isinstance(timeout, bool):
        raise ValidationError(unexpected("timeout", "a number of seconds or None", timeout))
    if timeout != timeout:  # noqa: PLR0124  only NaN differs from itself
        raise ValidationError("timeout: expected a number of seconds or None, got NaN")
