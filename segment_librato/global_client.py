"""The functions of the module, which call one default client made from its settings.

Owns when that client is made, replaced and retired. The settings and `default_client` are
attributes of `segment_librato` itself, which hands its namespace over by `adopt`. (This module
cannot be named after `default_client`: a submodule is an attribute of its package, too.)

Must not know threads, HTTP or what a call does.
"""

from __future__ import annotations

import importlib
import threading
from functools import wraps
from types import MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Concatenate, Final, NoReturn, ParamSpec, TypeVar

from segment_librato.client import Client, adopt_on_error, report_setting
from segment_librato.config.client import Config
from segment_librato.counters import Stats
from segment_librato.errors import ConfigError
from segment_librato.frames import raised_anew
from segment_librato.log import log
from segment_librato.process.clock import monotonic
from segment_librato.process.fork import notice_fork, register_after_fork
from segment_librato.process.locks import synchronized

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "adopt",
    "aflush",
    "alias",
    "configure_gauge",
    "flush",
    "gauge",
    "group",
    "identify",
    "join",
    "page",
    "screen",
    "shutdown",
    "track",
]

PACKAGE = "segment_librato"
_SETTINGS = Config.names()
MAX_FORMER = 4  # each has a thread and a connection
MAX_FORMER_WAIT = 1.0  # seconds in which the oldest one delivers nothing, until it is given up
LIKENESS = 0.75  # of a name to that of a setting, above which it seems to be misspelt


class _Defaults:
    """The state around the default client."""

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}  # the namespace of the module
        self.change: object = object()  # a new one whenever a setting is assigned
        self.applied: object = self.change  # the one that the default client was made from
        self.former: list[Client] = []  # made from earlier settings, with messages to deliver
        self.warned_of_changes = False
        self.reset_after_fork()
        register_after_fork(self)

    def reset_after_fork(self) -> None:
        """Replace the lock, which a thread of the parent process may hold."""
        self.lock = threading.RLock()

    @property
    def client(self) -> Client | None:
        """The default client, if there is one."""
        client: Client | None = self.settings["default_client"]
        return client

    @synchronized
    def retire(self, client: Client) -> None:
        """Keep a client that is no longer the default one."""
        if not any(one is client for one in self.former):
            self.former = [*self.former, client]

    @synchronized
    def reinstate(self, config: Config) -> Client | None:
        """Return a former client with these options, which is former no longer."""
        found = next((one for one in self.former if _serves(one, config)), None)
        self.former = [one for one in self.former if one is not found]
        return found

    def bound_former(self) -> None:
        """See to it that there are only a few former clients, at worst by giving up the oldest.

        May wait for it, so not under the lock.
        """
        self.forget_settled()
        while oldest := self._pop_excess():
            if not self.warned_of_changes:
                self.warned_of_changes = True
                log.warning("settings change faster than messages arrive; make a Client for each")
            _finish_former(oldest)

    @synchronized
    def _pop_excess(self) -> Client | None:
        if len(self.former) <= MAX_FORMER:
            return None
        oldest, self.former = self.former[0], self.former[1:]
        return oldest

    def forget_settled(self) -> None:
        """Drop former clients that have nothing to deliver, unless one is retired meanwhile."""
        former = self.former
        # Takes their locks, so not under ours.
        unsettled = [one for one in former if not one.stats.is_settled]
        self._replace(former, unsettled)

    @synchronized
    def _replace(self, former: list[Client], unsettled: list[Client]) -> None:
        if self.former is former:
            self.former = unsettled


def _finish_former(client: Client) -> None:
    """Wait until a former client has delivered, while it does deliver; then give it up."""
    settled = None
    deadline = monotonic() + client.config.shutdown_timeout
    while not client.flush(MAX_FORMER_WAIT):
        before, settled = settled, client.stats.delivered + client.stats.failed
        if before == settled or monotonic() > deadline:
            client.shutdown(0)
            return


_defaults = _Defaults()


class _SettingsModule(ModuleType):
    """A module that notices when a setting or the default client is assigned."""

    @property
    def stats(self) -> Stats:
        """The counters of the default client at this instant; all zero while there is none."""
        client = _defaults.client
        return client.stats if client else Stats()

    @stats.setter
    def stats(self, _: object) -> NoReturn:
        raise AttributeError("stats cannot be set: it is a snapshot of the default client")

    def __setattr__(self, name: str, value: object) -> None:
        is_known = name in vars(self) or name.startswith("_")
        super().__setattr__(name, value)
        if name in _SETTINGS:
            _defaults.change = object()
        elif name == "default_client":
            _defaults.applied = _defaults.change
        elif not (is_known or isinstance(value, ModuleType)):  # an import sets submodules
            _hint_at_spelling(name)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        """Let pickle and its kin refer to the module by its name, as they do for any other."""
        return importlib.import_module, (self.__name__,)


def _hint_at_spelling(name: str) -> None:
    """Warn if an attribute that nobody reads is named much like a setting."""
    import difflib  # hardly ever needed

    for nearest in difflib.get_close_matches(name.lower(), _SETTINGS, 1, LIKENESS):
        log.warning("there is no setting `%s`; did you mean `%s`?", name, nearest)


def adopt(module: ModuleType) -> None:
    """Take the settings and `default_client` from the attributes of this module."""
    _defaults.settings = vars(module)
    module.__class__ = _SettingsModule


def _client() -> Client:
    """Return the default client; make it if there is none, or if a setting was changed."""
    is_up_to_date = _defaults.applied is _defaults.change  # read first, as it is written last
    current = _defaults.client
    if current and is_up_to_date:
        return current
    notice_fork()
    current, retired, problem = _renewed_client(_defaults)
    if problem:
        report_setting(current, problem, _defaults.settings["on_error"])
    if retired:
        retired.flush(0)  # it sends what it has at once
        _defaults.bound_former()
    return current


@raised_anew
@synchronized
def _renewed_client(defaults: _Defaults) -> tuple[Client, Client | None, ConfigError | None]:
    """Bring the default client up to date with the settings as they are now.

    Returns:
        The default client; the one it replaces, if it does; and what is wrong with the settings:
        then they count only once they have changed again.

    Raises:
        ConfigError: something is wrong with them, and there is no client yet.
    """
    change, current = defaults.change, defaults.client
    if current and defaults.applied is change:
        return current, None, None
    problem = None
    options = {name: defaults.settings[name] for name in _SETTINGS}
    former = current
    try:
        config = Config(**options)
        if not (current and _serves(current, config)):
            current = defaults.reinstate(config) or Client(**options)
        adopt_on_error(current, config)
    except ConfigError as error:
        if not current:
            raise
        problem = error
    if current is not former:
        defaults.settings["default_client"] = current
        if former:
            defaults.retire(former)
    defaults.applied = change
    return current, former if former is not current else None, problem


def _serves(client: Client, config: Config) -> bool:
    """Return whether a client can go on with these options: it may be told another `on_error`."""
    options = vars(config) | {"on_error": client.config.on_error}
    return vars(client.config) == options and not client.queue.closed


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def _on_default_client(
    method: Callable[Concatenate[Client, Arguments], Result],
) -> Callable[Arguments, Result]:
    """Return a function that calls this method of the default client."""

    @wraps(method)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        current = _client()
        try:  # by its name, as `default_client` may be a subclass, or a double of a test
            result: Result = getattr(current, method.__name__)(*args, **kwargs)
            return result
        finally:
            if current is not _defaults.client:  # a setting was changed in another thread
                _defaults.retire(current)

    call.__module__ = PACKAGE  # with the name, it is how pickle finds the function again
    call.__qualname__ = method.__name__
    # For `inspect.signature`: that of a bound method lacks `self`.
    call.__wrapped__ = MethodType(method, Client)
    return call


track: Final = _on_default_client(Client.track)
identify: Final = _on_default_client(Client.identify)
group: Final = _on_default_client(Client.group)
alias: Final = _on_default_client(Client.alias)
page: Final = _on_default_client(Client.page)
screen: Final = _on_default_client(Client.screen)
gauge: Final = _on_default_client(Client.gauge)
configure_gauge: Final = _on_default_client(Client.configure_gauge)


def flush(timeout: float | None = None) -> bool:
    """Flush the default client; see `Client.flush`."""
    return _finish(Client.flush, timeout)


def join(timeout: float | None = None) -> bool:
    """Flush the default client and end its threads; see `Client.join`."""
    return _finish(Client.join, timeout)


def shutdown(timeout: float | None = None) -> bool:
    """Flush the default client and stop it for good; see `Client.shutdown`."""
    return _finish(Client.shutdown, timeout)


async def aflush(timeout: float | None = None) -> bool:
    """Flush the default client without blocking the event loop; see `Client.aflush`."""
    import asyncio  # a program that runs an event loop has loaded it already

    clients = [_client(), *_defaults.former]
    settled = await asyncio.gather(*(client.aflush(timeout) for client in clients))
    _defaults.forget_settled()
    return all(settled)


for _function in (flush, join, shutdown, aflush):
    _function.__module__ = PACKAGE


def _finish(method: Callable[[Client, float | None], bool], seconds: float | None) -> bool:
    """Call the method on the default client and on its predecessors, within one deadline."""
    began = monotonic()
    settled: bool = getattr(_client(), method.__name__)(seconds)
    for one in _defaults.former:
        left = None if seconds is None else max(0, began + seconds - monotonic())
        settled = getattr(one, method.__name__)(left) and settled
    _defaults.forget_settled()
    return settled
