"""A drop-in Python client for Segment, with a Librato mapper.

    import segment_librato as analytics

    analytics.write_key = "YOUR_WRITE_KEY"
    analytics.track("user-1", "Order Completed", {"value": 42})
    analytics.shutdown()

Every option of `Client` is a setting of this module, such as `write_key` above; `Client` describes
them. The first call makes `default_client` from the settings. When a setting is changed later, the
next call makes a new one, and the former delivers what it has accepted. To start anew, set
`default_client` to None, or any setting after `shutdown()`.

`stats` is a snapshot of the counters of the default client; reading it makes no client.

Two subpackages are imported on first use: `segment_librato.librato` maps messages to Librato
measurements, and `segment_librato.devserver` is a local stand-in for the APIs of both services.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Mapping
from decimal import Decimal  # noqa: F401  for `typing.get_type_hints` of the functions
from typing import TYPE_CHECKING

from segment_librato._version import VERSION
from segment_librato.client import Client, Properties
from segment_librato.compat import install_as_segment_analytics
from segment_librato.config.client import Config, OnError
from segment_librato.config.gauges import LibratoConfig, OpenTelemetryConfig
from segment_librato.config.spool import SpoolConfig
from segment_librato.config.validators import Timeout
from segment_librato.counters import SpoolStats, Stats
from segment_librato.drain import DrainReport, drain_spool
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
    SpoolCorruptError,
    SpoolError,
    SpoolExpiredError,
    SpoolFullError,
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
from segment_librato.message.fields import Identifier, Message
from segment_librato.message.timestamp import Timestamp
from segment_librato.preload import preload
from segment_librato.process.sigterm import flush_on_sigterm

if TYPE_CHECKING:
    from segment_librato import devserver as devserver
    from segment_librato import librato as librato

__all__ = [
    "APIError",
    "Client",
    "ClientClosedError",
    "ConfigError",
    "DeliveryError",
    "DrainReport",
    "Identifier",
    "LibratoConfig",
    "Message",
    "MessageTooLargeError",
    "NetworkError",
    "OnError",
    "OpenTelemetryConfig",
    "Properties",
    "QueueFullError",
    "RejectionError",
    "SegmentError",
    "ShutdownTimeoutError",
    "SpoolConfig",
    "SpoolCorruptError",
    "SpoolError",
    "SpoolExpiredError",
    "SpoolFullError",
    "SpoolStats",
    "Stats",
    "Timeout",
    "Timestamp",
    "ValidationError",
    "__version__",
    "aflush",
    "alias",
    "configure_gauge",
    "drain_spool",
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

# <options>, by `make options`
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
sync_timeout: float = Config.sync_timeout
max_queue_bytes: int = Config.max_queue_bytes
block_on_full: float = Config.block_on_full
gauges: LibratoConfig | OpenTelemetryConfig | None = Config.gauges
flush_in_children: bool = Config.flush_in_children
spool: str | os.PathLike[str] | SpoolConfig | None = Config.spool
# </options>

default_client: Client | None = None

__version__ = VERSION

_SUBPACKAGES = ("devserver", "librato")

if TYPE_CHECKING:
    stats: Stats  # see `global_client`
else:  # type checkers would accept any name

    def __getattr__(name: str) -> object:
        """Import a public subpackage on first use."""
        if name not in _SUBPACKAGES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    """List the public names, without the imports of this module."""
    return sorted([*__all__, *Config.names(), *_SUBPACKAGES, "default_client", "stats"])


adopt(sys.modules[__name__])
