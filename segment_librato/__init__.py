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

Four subpackages are imported on first use: `segment_librato.librato` maps messages to Librato
measurements, `segment_librato.events` has types and checks for Segment's standard events,
`segment_librato.testing` records what the tests of an application track, and
`segment_librato.devserver` is a local stand-in for the APIs of both services. So are `import_rows`,
which imports history, and its `ImportReport`; `import *` leaves them out.
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
from segment_librato.counters import SpoolStats, Stats
from segment_librato.drain import DrainReport, drain_spool
from segment_librato.errors import (
    APIError,
    ClientClosedError,
    ConfigError,
    DeliveryError,
    HookError,
    ImportStoppedError,
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
from segment_librato.gauge_delivery.timer import Timer
from segment_librato.global_client import (
    adopt,
    aflush,
    alias,
    configure_gauge,
    flush,
    gauge,
    group,
    identify,
    increment,
    join,
    page,
    screen,
    shutdown,
    timer,
    track,
)
from segment_librato.message.fields import Identifier, Message
from segment_librato.message.timestamp import Timestamp
from segment_librato.preload import preload
from segment_librato.process.sigterm import flush_on_sigterm
from segment_librato.scopes import Scope, scope
from segment_librato.tracking import (  # for `typing.get_type_hints` of the functions
    AnyContext,  # noqa: F401
    AnyGroupTraits,  # noqa: F401
    AnyPageProperties,  # noqa: F401
    AnyScreenProperties,  # noqa: F401
    AnyTrackProperties,  # noqa: F401
    AnyUserTraits,  # noqa: F401
)

if TYPE_CHECKING:
    from segment_librato import devserver as devserver
    from segment_librato import events as events
    from segment_librato import librato as librato
    from segment_librato import testing as testing
    from segment_librato.bulk.entry import import_rows as import_rows
    from segment_librato.bulk.report import ImportReport as ImportReport

__all__ = [
    "APIError",
    "BeforeSend",
    "Client",
    "ClientClosedError",
    "ConfigError",
    "DefaultContext",
    "DeliveryError",
    "DrainReport",
    "HookError",
    "Identifier",
    "ImportStoppedError",
    "LibratoConfig",
    "Message",
    "MessageTooLargeError",
    "NetworkError",
    "OnDelivered",
    "OnError",
    "OpenTelemetryConfig",
    "Properties",
    "QueueFullError",
    "RejectionError",
    "Scope",
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
    "Timer",
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
    "increment",
    "install_as_segment_analytics",
    "join",
    "page",
    "preload",
    "scope",
    "screen",
    "shutdown",
    "timer",
    "track",
]

# <options>, by `make options`
write_key: str | None = None
host: str | None = None
debug: bool = Config.debug
max_queue_size: int = Config.max_queue_size
send: bool = Config.send
on_error: OnError | None = None
gzip: bool = Config.gzip
max_retries: int = Config.max_retries
sync_mode: bool = Config.sync_mode
timeout: Timeout = Config.timeout
proxies: Mapping[str, str] | None = None
thread: int = Config.thread
upload_size: int = Config.upload_size
upload_interval: float = Config.upload_interval
log_handler: logging.Handler | None = None
oauth_client_id: str | None = None
oauth_client_key: str | None = None
oauth_key_id: str | None = None
oauth_auth_server: str = Config.oauth_auth_server
oauth_scope: str = Config.oauth_scope
max_total_backoff_duration: float = Config.max_total_backoff_duration
max_rate_limit_duration: float = Config.max_rate_limit_duration
exit_timeout: float = Config.exit_timeout
shutdown_timeout: float = Config.shutdown_timeout
sync_timeout: float = Config.sync_timeout
max_queue_bytes: int = Config.max_queue_bytes
block_on_full: float = Config.block_on_full
gauges: LibratoConfig | OpenTelemetryConfig | None = None
flush_in_children: bool = Config.flush_in_children
spool: str | os.PathLike[str] | SpoolConfig | None = None
before_send: BeforeSend | None = None
default_context: DefaultContext | None = None
sample_rate: Mapping[str, float] | None = None
trace_context: bool = Config.trace_context
on_delivered: OnDelivered | None = None
# </options>

default_client: Client | None = None

__version__ = VERSION

_SUBPACKAGES = ("devserver", "events", "librato", "testing")
_LATE = {"ImportReport": "bulk.report", "import_rows": "bulk.entry"}  # few programs import history

if TYPE_CHECKING:
    stats: Stats  # see `global_client`
else:  # type checkers would accept any name

    def __getattr__(name: str) -> object:
        """Import a public subpackage, or what few programs need, on first use."""
        if name in _LATE:
            return getattr(importlib.import_module(f"{__name__}.{_LATE[name]}"), name)
        if name not in _SUBPACKAGES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    """List the public names, without the imports of this module."""
    return sorted([*__all__, *Config.names(), *_SUBPACKAGES, *_LATE, "default_client", "stats"])


adopt(sys.modules[__name__])
