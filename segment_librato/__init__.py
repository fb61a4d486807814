"""A drop-in Python client for Segment, with a Librato mapper.

    import segment_librato as analytics

    analytics.write_key = "YOUR_WRITE_KEY"
    analytics.track("user-1", "Order Completed", {"value": 42})
    analytics.shutdown()

Every option of `Client` is a setting of this module. The first call makes `default_client`
from the settings; a setting changed later makes a new one on the next call, while the former
delivers what it has accepted. Setting `default_client` to None starts anew.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from segment_librato._version import VERSION
from segment_librato.client import Client
from segment_librato.compat import install_as_segment_analytics
from segment_librato.config.client import Config
from segment_librato.errors import (
    APIError,
    ClientClosedError,
    ConfigError,
    DeliveryError,
    MessageTooLargeError,
    NetworkError,
    QueueFullError,
    RejectionError,
    SegmentError,
    ShutdownTimeoutError,
    ValidationError,
)
from segment_librato.global_client import (
    adopt,
    aflush,
    alias,
    configure_gauge,
    flush,
    gauge,
    group,
    identify,
    join,
    page,
    screen,
    shutdown,
    track,
)
from segment_librato.preload import preload
from segment_librato.process.sigterm import flush_on_sigterm

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

    from segment_librato.config.client import OnError
    from segment_librato.config.gauges import LibratoConfig, OpenTelemetryConfig
    from segment_librato.config.validators import Timeout

__all__ = [
    "APIError",
    "Client",
    "ClientClosedError",
    "ConfigError",
    "DeliveryError",
    "LibratoConfig",
    "MessageTooLargeError",
    "NetworkError",
    "OpenTelemetryConfig",
    "QueueFullError",
    "RejectionError",
    "SegmentError",
    "ShutdownTimeoutError",
    "ValidationError",
    "__version__",
    "aflush",
    "alias",
    "configure_gauge",
    "flush",
    "flush_on_sigterm",
    "gauge",
    "group",
    "identify",
    "install_as_segment_analytics",
    "join",
    "page",
    "preload",
    "screen",
    "shutdown",
    "track",
]

write_key: str | None = Config.write_key
host: str | None = Config.host
debug: bool = Config.debug
max_queue_size: int = Config.max_queue_size
send: bool = Config.send
on_error: OnError | None = Config.on_error
gzip: bool = Config.gzip
max_retries: int = Config.max_retries
sync_mode: bool = Config.sync_mode
timeout: Timeout = Config.timeout
proxies: Mapping[str, str] | None = Config.proxies
thread: int = Config.thread
upload_size: int = Config.upload_size
upload_interval: float = Config.upload_interval
log_handler: logging.Handler | None = Config.log_handler
oauth_client_id: str | None = Config.oauth_client_id
oauth_client_key: str | None = Config.oauth_client_key
oauth_key_id: str | None = Config.oauth_key_id
oauth_auth_server: str = Config.oauth_auth_server
oauth_scope: str = Config.oauth_scope
max_total_backoff_duration: float = Config.max_total_backoff_duration
max_rate_limit_duration: float = Config.max_rate_limit_duration
exit_timeout: float = Config.exit_timeout
shutdown_timeout: float = Config.shutdown_timeout
max_queue_bytes: int = Config.max_queue_bytes
block_on_full: float = Config.block_on_full
gauges: LibratoConfig | OpenTelemetryConfig | None = Config.gauges

default_client: Client | None = None

__version__ = VERSION

_LOADED_WHEN_USED = frozenset({"LibratoConfig", "OpenTelemetryConfig"})


if not TYPE_CHECKING:  # or any name would do

    def __getattr__(name: str) -> Any:  # noqa: ANN401  one of two classes
        """Return a class that few need, and that takes a while to be imported."""
        if name not in _LOADED_WHEN_USED:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module("segment_librato.config.gauges"), name)


def __dir__() -> list[str]:
    """List what this module has, and what it has when it is used."""
    return sorted({*globals(), *_LOADED_WHEN_USED})


adopt(sys.modules[__name__])
