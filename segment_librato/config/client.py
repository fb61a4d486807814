"""Every option of a client, in one immutable value that is valid once it exists.

Owns the defaults, the descriptions, the checks and the texts of their errors. Must not know
messages, threads or the network.

This is the only place to declare an option: its annotation, default, description and check.
`make options` then writes the arguments of `Client`, the settings of the module and the tables of
docs/configuration.md. The arguments of `Client` take the first sentence of a description, so it
has to stand alone; the tables take all of it, in the order of the descriptions. That is why it is
long.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from segment_librato.config.gauges import LibratoConfig, OpenTelemetryConfig
from segment_librato.config.options import KW_ONLY, Options
from segment_librato.config.spool import SpoolConfig
from segment_librato.config.validators import (
    Timeout,
    check_callback,
    check_context,
    check_count,
    check_header_text,
    check_proxies,
    check_rates,
    check_seconds,
    check_text,
    check_timeout,
    check_url,
    truth,
    with_scheme,
)
from segment_librato.errors import ConfigError, SegmentError, unexpected
from segment_librato.recording import recordings

__all__ = ["BeforeSend", "Config", "DefaultContext", "OnDelivered", "OnError"]

OnError: TypeAlias = Callable[[SegmentError, list[dict[str, Any]]], object]
"""What `on_error` may be: it gets the reason, and the messages that will not be delivered."""
OnDelivered: TypeAlias = Callable[[list[dict[str, Any]]], object]
"""What `on_delivered` may be: it gets the messages that were delivered."""
BeforeSend: TypeAlias = Callable[[dict[str, Any]], dict[str, Any] | None]
"""What `before_send` may be: it gets a message, and returns what to send; None drops it."""
DefaultContext: TypeAlias = Mapping[str, Any] | Callable[[], Mapping[str, Any] | None]
"""What `default_context` may be: a context, or a function that returns one for each call."""

DEFAULT_HOST = "https://api.segment.io"
MAX_WRITE_KEY_LENGTH = 1_000
MIN_QUEUE_BYTES = 64 * 1024  # two of the largest messages


class Config(Options, secrets=("write_key", "proxies", "oauth_client_key", "default_context")):
    """The options of a client. Immutable, and valid once it exists.

    Attributes:
        write_key: Write key of the source; required unless `gauges` is set. Sent as the user name
            of HTTP Basic authentication and in the body. Printable ASCII. With an empty one,
            nothing goes to Segment, and the log says so once.
        host: Base URL of the API; None or an empty str means https://api.segment.io. With or
            without a path or a trailing slash: batches go to `{host}/v1/batch`. Without a scheme,
            https. In the EU: https://events.eu1.segmentapis.com.
        proxies: Scheme to proxy URL, as `requests` takes it. Takes precedence over `HTTP_PROXY`,
            `HTTPS_PROXY` and `NO_PROXY`.
        timeout: Seconds to wait for a connection and for a response; a pair sets them apart. The
            body of the response gets two seconds more.
        gzip: Compress requests. Takes about a tenth of the bytes, for a few more microseconds per
            message.
        gauges: Deliver gauges directly, to a Librato account or over OpenTelemetry. With it,
            `write_key` may be None: then nothing goes to Segment. See
            docs/librato.md#direct-delivery.

        max_queue_size: Maximum number of queued messages; 0 means unlimited. Messages in flight
            are not queued. Beyond that, messages are rejected: the call returns
            `(False, message)`, and `on_error` gets a `QueueFullError`. With a `spool`, nothing is
            rejected then: more messages go to disk only, and are read back in order.
        max_queue_bytes: Maximum size of the queued messages as JSON, in bytes, at least 65,536; 0
            means unlimited. For processes with a memory limit: 10,000 messages of 32 KB are
            320 MB.
        block_on_full: Longest time, in seconds, that a call waits for room in a full queue before
            its message is rejected. For batch jobs that produce faster than the network delivers;
            not for event loops. Calls from `on_error`, or from a signal handler that interrupted
            a call, do not wait.
        upload_size: Queue length that triggers an upload. With the default, a batch may grow to
            the limits of the API (2,500 messages, 500,000 bytes) when more messages are queued;
            any other value is also the maximum length of a batch.
        upload_interval: Longest time, in seconds, to wait for a batch to fill.
        thread: Number of background threads, each with one request at a time. With more than one,
            batches may overtake each other.
        send: Send messages; False only checks and encodes them. For tests and dry runs: calls
            return `(True, message)`, and `write_key` and `host` may be anything.
        sync_mode: Send each message inside its call, without a background thread. If it is not
            delivered, `on_error` is called and the call returns `(False, message)`; without
            `on_error`, the call raises the error.
        sync_timeout: Longest time, in seconds, that a call takes in `sync_mode`, with its retries.
            It also ends a request before its `timeout`.

        spool: Folder that keeps messages on disk: a path, or a `SpoolConfig` with more options.
            They stay there until they are delivered or handed to `on_error`: they survive
            `kill -9`, and an outage fills the disk; it loses no messages. None keeps them in
            memory only. See docs/delivery.md#the-spool.

        on_error: Called as `on_error(error, messages)`, once for every message that will not be
            delivered. See docs/errors.md. It usually runs on a background thread, so it must be
            quick; whatever it raises is logged. A client whose `on_error` refers to the client
            lives until it is shut down.
        max_retries: Maximum number of retries per request. The first follows at once, the others
            after up to 0.5, 1, 2 … 60 seconds, at random. With a `spool`, this and the two
            durations below end no message: it is tried again later.
        max_total_backoff_duration: Longest time, in seconds, that a request is retried after its
            first failure.
        max_rate_limit_duration: Longest time, in seconds, that the server may postpone a request
            by `Retry-After`. Such waits, of at most 300 s each, do not count as retries.

        shutdown_timeout: Longest time, in seconds, that `shutdown()` waits if it is called
            without a timeout. What is left goes to `on_error`, or stays in the `spool`. Calls of
            `on_error` on another thread that have begun by then get up to 3 seconds more.
        exit_timeout: Longest time, in seconds, that the interpreter waits at its exit for pending
            messages. What is left goes to `on_error`, or stays in the `spool`. With nothing
            pending, it does not wait; with a `spool`, it does for up to a second of this time if
            what other processes left is being sent. Calls of `on_error` on another thread that
            have begun by then get up to 3 seconds more.
        flush_in_children: Let the first message of a `multiprocessing` child call
            `flush_on_sigterm()`. Not if SIGTERM has a handler there. Without it, what waits is
            lost when `Pool.terminate()`, and so the end of `with Pool()`, sends that signal.

        before_send: Called as `before_send(message)` with a copy of each message; what it returns
            is sent, and None drops the message. On the calling thread, before the message is
            encoded. See docs/hooks.md.
        default_context: Context that every message gets under that of its call, or a function
            that returns it for each call. A mapping is copied when the client is made.
        sample_rate: Event name to the share of users, 0 to 1, whose events of that name are sent.
            Whether a user is in depends on a hash of the user id, so it is the same everywhere.
        trace_context: Put the trace and span ids of the active OpenTelemetry span into
            `context.trace`.
        on_delivered: Called as `on_delivered(messages)` with messages for which the server
            reported success. On the thread that sends, so it must be quick; whatever it raises is
            logged.

        debug: Set the logger `segment` to DEBUG, and print to stderr if logging is not configured.
            Each message is logged, with all that is in it; keep it off where that must not be.
        log_handler: Handler to add to the logger `segment`, where it stays.

        oauth_client_id: Id of the OAuth application. With the next two options, requests carry
            OAuth 2.0 tokens instead of the write key.
        oauth_client_key: RSA private key of the OAuth application, in PEM.
        oauth_key_id: Id of that key.
        oauth_auth_server: Base URL of the server that issues the tokens. They come from
            `{oauth_auth_server}/token`.
        oauth_scope: Scope of the tokens.

    Raises:
        ConfigError: an option has a wrong type or value; the text names it.
    """

    write_key: str | None = None
    host: str | None = None
    debug: bool = False
    max_queue_size: int = 10_000
    send: bool = True
    on_error: OnError | None = None
    gzip: bool = False
    max_retries: int = 10
    sync_mode: bool = False
    timeout: Timeout = 15
    proxies: Mapping[str, str] | None = None
    thread: int = 1
    upload_size: int = 100
    upload_interval: float = 0.5
    log_handler: logging.Handler | None = None
    oauth_client_id: str | None = None
    oauth_client_key: str | None = None
    oauth_key_id: str | None = None
    oauth_auth_server: str = "https://oauth2.segment.io"
    oauth_scope: str = "tracking_api:write"
    max_total_backoff_duration: float = 43_200
    max_rate_limit_duration: float = 1_800
    _: KW_ONLY
    exit_timeout: float = 5
    shutdown_timeout: float = 15
    sync_timeout: float = 15
    max_queue_bytes: int = 0
    block_on_full: float = 0
    gauges: LibratoConfig | OpenTelemetryConfig | None = None
    flush_in_children: bool = True
    spool: str | os.PathLike[str] | SpoolConfig | None = None
    before_send: BeforeSend | None = None
    default_context: DefaultContext | None = None
    sample_rate: Mapping[str, float] | None = None
    trace_context: bool = False
    on_delivered: OnDelivered | None = None

    def _check(self) -> None:
        values = vars(self)
        for name in ("debug", "send", "gzip", "sync_mode", "flush_in_children", "trace_context"):
            values[name] = truth(name, values[name])
        for name in ("timeout", "oauth_auth_server", "oauth_scope"):
            if values[name] is None:  # the incumbent takes it
                values[name] = getattr(Config, name)
        for name in ("host", "oauth_auth_server"):
            values[name] = with_scheme(values[name])
        self._check_destinations()
        for name, minimum in (
            ("max_queue_size", 0),
            ("max_retries", 0),
            ("thread", 1),
            ("upload_size", 1),
        ):
            check_count(name, getattr(self, name), minimum)
        for name in (
            "upload_interval",
            "max_total_backoff_duration",
            "max_rate_limit_duration",
            "exit_timeout",
            "shutdown_timeout",
            "sync_timeout",
            "block_on_full",
        ):
            check_seconds(name, getattr(self, name))
        if not self.sync_timeout:
            raise ConfigError("sync_timeout: expected more than 0 seconds, got 0")
        _check_queue_bytes(self.max_queue_bytes)
        check_timeout(self.timeout)
        for name in ("on_error", "on_delivered", "before_send"):
            check_callback(name, getattr(self, name))
        check_context("default_context", self.default_context)
        check_rates("sample_rate", self.sample_rate)
        if self.log_handler and not isinstance(self.log_handler, logging.Handler):
            raise ConfigError(unexpected("log_handler", "a logging.Handler", self.log_handler))
        check_proxies(self.proxies)
        self._check_oauth()
        self._check_spool()

    def _check_destinations(self) -> None:
        """Check where messages go: to Segment, to a Librato account, or to both."""
        kinds = (LibratoConfig, OpenTelemetryConfig)
        if self.gauges is not None and not isinstance(self.gauges, kinds):
            expected = "a LibratoConfig, an OpenTelemetryConfig or None"
            raise ConfigError(unexpected("gauges", expected, self.gauges))
        if not self.send:  # a test or a dry run may have neither
            return
        may_lack_key = self.gauges is not None or recordings
        if self.write_key is not None or not may_lack_key:
            _check_write_key(self.write_key)
        check_url("host", self.host or DEFAULT_HOST, DEFAULT_HOST)

    def _check_oauth(self) -> None:
        credentials = ("oauth_client_id", "oauth_client_key", "oauth_key_id")
        given = [name for name in credentials if getattr(self, name)]
        for name in (*given, "oauth_auth_server", "oauth_scope"):
            check_text(name, getattr(self, name))
        if given and len(given) < len(credentials):
            missing = next(name for name in credentials if name not in given)
            raise ConfigError(f"{missing}: expected a str, because {given[0]} is set")
        check_url("oauth_auth_server", self.oauth_auth_server, DEFAULT_HOST)

    def _check_spool(self) -> None:
        if self.spool is None:
            return
        spool: object = self.spool
        if not isinstance(spool, SpoolConfig):
            if not isinstance(spool, (str, os.PathLike)):
                expected = "the path of a folder, a SpoolConfig or None"
                raise ConfigError(unexpected("spool", expected, spool))
            try:
                spool = SpoolConfig(spool)
            except ConfigError as error:
                raise ConfigError(error.message.replace("path", "spool", 1)) from None
        if self.sync_mode:
            raise ConfigError("spool: expected None with sync_mode, in which nothing waits")
        vars(self)["spool"] = spool

    @property
    def batch_url(self) -> str:
        """Where batches are posted."""
        base = (self.host or DEFAULT_HOST).rstrip("/")
        return base if base.endswith("/v1/batch") else f"{base}/v1/batch"

    @property
    def destinations(self) -> list[str]:
        """Where messages and measurements go, in words without secrets."""
        if not self.send:
            return []
        segment = [self.batch_url] if self.write_key else []
        return [*segment, self.gauges.destination] if self.gauges else segment

    @property
    def uses_oauth(self) -> bool:
        """Whether requests carry a bearer token instead of the write key."""
        return bool(self.oauth_client_id)


def _check_queue_bytes(value: int) -> None:
    check_count("max_queue_bytes", value, 0)
    if 0 < value < MIN_QUEUE_BYTES:
        expected = f"0 or at least {MIN_QUEUE_BYTES}"
        raise ConfigError(f"max_queue_bytes: expected {expected}, got {value}")


def _check_write_key(value: object) -> None:
    if not isinstance(value, str):
        text = unexpected("write_key", "the write key of a source, a str", value)
        how = 'segment_librato.write_key = "...", or Client("...")'
        raise ConfigError(text if value is not None else f"{text}; set it: {how}")
    if len(value) > MAX_WRITE_KEY_LENGTH:
        expected = f"at most {MAX_WRITE_KEY_LENGTH} characters"
        raise ConfigError(f"write_key: expected {expected}, got {len(value)}")
    check_header_text("write_key", value)
