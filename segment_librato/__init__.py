"""A drop-in Python client for Segment, with a Librato mapper.

    import segment_librato as analytics

    analytics.write_key = "YOUR_WRITE_KEY"
    analytics.track("user-1", "Order Completed", {"value": 42})
    analytics.shutdown()

Every option of `Client` is a setting of this module. The first call makes `default_client`
from the settings; a setting changed later makes a new one on the next call, while the former
delivers what it has accepted. Setting `default_client` to None starts anew.

Owns the public names, the settings and the calls over the default client. Knows nothing of
threads or HTTP. It is long because each name and each setting is written out, for editors and
type checkers.
"""

from __future__ import annotations

import importlib
import sys
import threading
import time
from functools import wraps
from types import MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from segment_librato import _version, errors
from segment_librato._version import VERSION
from segment_librato.client import Client
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
from segment_librato.process import exit as lifecycle
from segment_librato.process.exit import flush_on_sigterm
from segment_librato.process.locks import locked

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping

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
librato: LibratoConfig | OpenTelemetryConfig | None  # until it is set, the subpackage of this name

default_client: Client | None = None

__version__ = VERSION

PREFIX = "segment_librato."
_SETTINGS = Config.names()
_SUBPACKAGE = "segment_librato.librato"
_CONFIG_MODULE = "segment_librato.config.gauges"
_LOADED_WHEN_USED = frozenset({"LibratoConfig", "OpenTelemetryConfig"})


if not TYPE_CHECKING:  # or any name would do

    def __getattr__(name: str) -> Any:  # noqa: ANN401  one of two classes
        """Return a class that few need, and that takes a while to be imported."""
        if name not in _LOADED_WHEN_USED:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(_CONFIG_MODULE), name)


def __dir__() -> list[str]:
    """List what this module has, and what it has when it is used."""
    return sorted({*globals(), *_LOADED_WHEN_USED})


class _Defaults:
    """What there is to know of the default client besides itself."""

    def __init__(self) -> None:
        self.change = object()  # another one whenever a setting is assigned
        self.applied = self.change  # the last one that the default client is made from
        self.former: list[Client] = []  # made from earlier settings, with messages to deliver
        self.reset_after_fork()
        lifecycle.renew_in_child(self)

    def reset_after_fork(self) -> None:
        """Have a lock that nobody holds."""
        self.lock = threading.RLock()

    @locked
    def retire(self, client: Client) -> None:
        """Keep a client that is not the default one any more."""
        self.former = [*self.former, client]

    def forget_settled(self) -> None:
        """Let go of former clients with nothing to deliver, unless one is retired meanwhile."""
        former = self.former
        # takes their locks, so not under ours
        unsettled = [one for one in former if not one.stats.is_settled]
        self._replace(former, unsettled)

    @locked
    def _replace(self, former: list[Client], unsettled: list[Client]) -> None:
        if self.former is former:
            self.former = unsettled


_defaults = _Defaults()


class _Module(ModuleType):
    """This module, noticing when a setting or the default client is assigned."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name in _SETTINGS:
            _defaults.change = object()
        elif name == "default_client":
            _defaults.applied = _defaults.change


sys.modules[__name__].__class__ = _Module


def _client() -> Client:
    """Return the default client; make it if there is none, or if a setting was changed."""
    is_up_to_date = _defaults.applied is _defaults.change  # asked first, as it is said last
    current = default_client
    if current and is_up_to_date:
        return current
    current = _renewed_client(_defaults)
    _defaults.forget_settled()
    return current


@locked
def _renewed_client(defaults: _Defaults) -> Client:
    """Return a default client that is made from the settings as they are now."""
    global default_client  # noqa: PLW0603  a public name of the incumbent
    change, current = defaults.change, default_client
    if current and defaults.applied is change:
        return current
    options = {name: globals()[name] for name in _SETTINGS}
    if options["librato"] is sys.modules[_SUBPACKAGE]:  # of the same name: it is not set
        del options["librato"]
    if not current or current.config != Config(**options):
        made = default_client = Client(**options)
        if current:
            defaults.retire(current)
        current = made
    defaults.applied = change
    return current


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def _on_default_client(
    method: Callable[Concatenate[Client, Arguments], Result],
) -> Callable[Arguments, Result]:
    """Return a function that calls this method of the default client."""

    @wraps(method)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        current = _client()
        try:  # by its name, as `default_client` may be of a subclass or a double of a test
            return getattr(current, method.__name__)(*args, **kwargs)  # type: ignore[no-any-return]
        finally:
            if current is not default_client:  # a setting was changed in another thread
                _defaults.retire(current)

    call.__module__ = __name__  # with the name, it is how pickle finds the function again
    call.__qualname__ = method.__name__
    # what `inspect.signature` asks; that of a bound method is without `self`
    call.__wrapped__ = MethodType(method, Client)
    return call


track = _on_default_client(Client.track)
identify = _on_default_client(Client.identify)
group = _on_default_client(Client.group)
alias = _on_default_client(Client.alias)
page = _on_default_client(Client.page)
screen = _on_default_client(Client.screen)
gauge = _on_default_client(Client.gauge)
configure_gauge = _on_default_client(Client.configure_gauge)


def flush(timeout: float | None = None) -> bool:
    """Flush the default client; see `Client.flush`."""
    return _finish(Client.flush, timeout)


def join(timeout: float | None = None) -> bool:
    """Flush and end the threads of the default client; see `Client.join`."""
    return _finish(Client.join, timeout)


def shutdown(timeout: float | None = None) -> bool:
    """Flush the default client and stop it for good; see `Client.shutdown`."""
    return _finish(Client.shutdown, timeout)


async def aflush(timeout: float | None = None) -> bool:
    """Flush the default client without blocking the event loop; see `Client.aflush`."""
    import asyncio  # noqa: PLC0415  who runs an event loop has it loaded; others need not

    clients, problem = _clients()
    settled = await asyncio.gather(*(client.aflush(timeout) for client in clients))
    _defaults.forget_settled()
    if problem:
        raise problem
    return all(settled)


def _finish(method: Callable[[Client, float | None], bool], seconds: float | None) -> bool:
    """Call the method on the default client and on its forerunners, within one deadline."""
    began = time.monotonic()
    (current, *former), problem = _clients()
    settled: bool = getattr(current, method.__name__)(seconds)
    for one in former:
        left = None if seconds is None else max(0, began + seconds - time.monotonic())
        settled = getattr(one, method.__name__)(left) and settled
    _defaults.forget_settled()
    if problem:
        raise problem
    return settled


def _clients() -> tuple[list[Client], ConfigError | None]:
    """Return the default client and its forerunners.

    If a setting was changed to something wrong, the error is to be raised when they have
    delivered.
    """
    problem = None
    try:
        current = _client()
    except ConfigError as error:
        if not default_client:
            raise
        current, problem = default_client, error
    return [current, *_defaults.former], problem


def install_as_segment_analytics() -> None:
    """Let `import segment.analytics` and `from segment.analytics.client import Client` find us.

    For code that cannot be edited. Call it before that code is imported; again does no harm.

    Raises:
        ConfigError: the real `segment.analytics` was imported before.
    """
    this = sys.modules[__name__]
    if sys.modules.get("segment.analytics", this) is not this:
        raise ConfigError(
            "segment.analytics was imported before; call install_as_segment_analytics() first"
        )
    try:
        segment: Any = importlib.import_module("segment")  # there may be a package of this name
    except ImportError:
        segment = sys.modules["segment"] = ModuleType("segment")
    segment.analytics = sys.modules["segment.analytics"] = this
    for name, module in (("request", errors), ("version", _version)):
        setattr(this, name, module)
        sys.modules[f"segment.analytics.{name}"] = module
    importlib.import_module(_CONFIG_MODULE)
    for name in tuple(sys.modules):  # so that none of them is loaded twice
        if name.startswith(PREFIX):
            sys.modules[name.replace(PREFIX, "segment.analytics.", 1)] = sys.modules[name]
