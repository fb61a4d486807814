"""The functions of the module, which call one default client made from its settings.

Owns when that client is made, replaced and retired. The settings and `default_client` are
attributes of `segment_librato` itself, which hands its namespace over by `adopt`. (This module
cannot be named after `default_client`: a submodule is an attribute of its package, too.)

Must not know HTTP or what a call does. It is long because calls on several threads may choose a
client at the same time, and none of them may wait for another.
"""

from __future__ import annotations

import importlib
from functools import wraps
from operator import is_
from types import MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Concatenate, Final, NamedTuple, NoReturn, ParamSpec, TypeVar

from segment_librato.client import (
    Client,
    adopt_on_error,
    is_closed,
    is_settled,
    report_setting,
    send_at_once,
)
from segment_librato.config.client import Config
from segment_librato.counters import Stats
from segment_librato.errors import ConfigError, raised_anew
from segment_librato.gauge_delivery.timer import Timer
from segment_librato.log import log
from segment_librato.message.fields import Identifier  # noqa: TC001  for `typing.get_type_hints`
from segment_librato.process.clock import monotonic
from segment_librato.process.fork import notice_fork

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
    "increment",
    "join",
    "page",
    "screen",
    "shutdown",
    "timer",
    "track",
]

PACKAGE = "segment_librato"
_SETTINGS = Config.names()
MAX_FORMER = 4  # each has a thread and a connection
MAX_FORMER_WAIT = 1.0  # seconds in which the oldest one delivers nothing, until it is given up
LIKENESS = 0.75  # of a name to that of a setting, above which it seems to be misspelt


class _Choice(NamedTuple):
    """What was made of the settings.

    Attributes:
        client: the default client.
        config: the options that it goes on with; None if it keeps its own.
        problem: what is wrong with the settings: they count only once they have changed again.
    """

    client: Client
    config: Config | None = None
    problem: ConfigError | None = None


class _Change:
    """A state of the settings. The first thread to choose a client for it chooses for all."""

    def __init__(self) -> None:
        self._chosen: dict[None, _Choice] = {}

    @property
    def choice(self) -> _Choice | None:
        return self._chosen.get(None)

    def choose(self, choice: _Choice) -> _Choice:
        """Choose a client, unless one is chosen; return which is."""
        return self._chosen.setdefault(None, choice)


class _Defaults:
    """The state around the default client.

    No lock: a `__del__` or a log handler may make a call at any time, also in the middle of
    another one, and while its thread holds a lock that the other one waits for. Each change is a
    single operation, or a few statements without a call.
    """

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}  # the namespace of the module
        self.change: _Change = _Change()  # a new one whenever a setting or the client is assigned
        self.applied: _Change = self.change  # the one that the default client belongs to
        # By id: made from earlier settings, with messages to deliver; the oldest first.
        self.former: dict[int, Client] = {}
        self.warned_of_changes = False
        self.spool: tuple[object, object] = None, None  # as it is set, and with an absolute path

    @property
    def client(self) -> Client | None:
        """The default client, if there is one."""
        client: Client | None = self.settings.get("default_client")
        return client

    def assign(self, client: Client | None) -> None:
        """Keep to a client of the application's own, or to none, until a setting is changed."""
        change = _Change()
        if client:
            change.choose(_Choice(client))
        self.change = self.applied = change

    def publish(self, change: _Change, client: Client) -> Client | None:
        """Make this the default client, unless the settings have changed; return the one before."""
        before: Client | None = self.settings.get("default_client")
        if self.change is change:  # up to the end, no call and no jump
            self.settings["default_client"] = client
            self.applied = change
            return before if before is not client else None
        return None

    def retire(self, client: Client) -> None:
        """Keep a client that is no longer the default one, if it has messages to deliver."""
        if not is_settled(client):
            self.former.setdefault(id(client), client)

    def reinstate(self, config: Config) -> Client | None:
        """Return a former client with these options, which is former no longer."""
        for one in self.list_former():
            if _serves(one, config) and self.former.pop(id(one), None) is one:
                return one
        return None

    def list_former(self) -> list[Client]:
        """Return the former clients, the oldest first.

        A call that has retired one late may have missed that it is the default one again.
        """
        return [one for one in list(self.former.values()) if one is not self.client]

    def bound_former(self) -> None:
        """See to it that there are only a few former clients, at worst by giving up the oldest."""
        self.forget_settled()
        while oldest := self._pop_excess():
            if not self.warned_of_changes:
                self.warned_of_changes = True
                log.warning("settings change faster than messages arrive; make a Client for each")
            _finish_former(oldest)

    def _pop_excess(self) -> Client | None:
        former = self.list_former()
        return self.former.pop(id(former[0]), None) if len(former) > MAX_FORMER else None

    def forget_settled(self) -> None:
        """Drop former clients that have nothing to deliver.

        A call that still goes on retires its client again.
        """
        for one in self.list_former():
            if is_settled(one):
                self.former.pop(id(one), None)


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
        if name == "default_client":  # first, so that nobody replaces it by one made meanwhile
            _defaults.assign(value)  # type: ignore[arg-type]
        super().__setattr__(name, value)
        if name in _SETTINGS:
            _defaults.change = _Change()
        elif not (is_known or isinstance(value, ModuleType)):  # an import sets submodules
            _hint_at_spelling(name)

    def __delattr__(self, name: str) -> None:
        """Take a setting that is deleted, as tests do, for one that has its default."""
        super().__delattr__(name)
        if name in _SETTINGS:
            _defaults.change = _Change()

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


def keep_default_client() -> Callable[[], None]:
    """Return a function that brings back the default client, once a test has had others.

    If settings are others than they were, the next call looks whether it still serves.
    """
    client, change, applied = _defaults.client, _defaults.change, _defaults.applied
    settings = [_defaults.settings.get(name) for name in _SETTINGS]

    def bring_back() -> None:
        if _defaults.client is client:
            return
        present = [_defaults.settings.get(name) for name in _SETTINGS]
        is_up_to_date = client and change is applied and all(map(is_, settings, present))
        _defaults.settings["default_client"] = client
        _defaults.change, _defaults.applied = change if is_up_to_date else _Change(), applied

    return bring_back


def _client() -> Client:
    """Return the default client; make it if there is none, or if a setting was changed."""
    is_up_to_date = _defaults.applied is _defaults.change  # read first, as it is written last
    current = _defaults.client
    if current and is_up_to_date:
        return current
    notice_fork()
    current, retired, problem = _renewed_client(_defaults)
    if problem:
        report_setting(current, problem, _defaults.settings.get("on_error"))
    if retired:
        send_at_once(retired)
        _defaults.bound_former()
    return current


@raised_anew
def _renewed_client(defaults: _Defaults) -> tuple[Client, Client | None, ConfigError | None]:
    """Bring the default client up to date with the settings as they are now.

    Several threads may do so at once, and help each other: none waits for another.

    Returns:
        The default client; the one it replaces, if it does; and what is wrong with the settings,
        if this call is the one to report it.

    Raises:
        ConfigError: something is wrong with them, and there is no client yet.
    """
    retired = problem = None
    while True:
        change = defaults.change
        choice = change.choice
        if not choice:
            mine = _choose(defaults)
            choice = change.choose(mine)
            if choice is mine:
                problem = mine.problem
            elif mine.client is not defaults.client:
                defaults.retire(mine.client)  # unless it is a new one, which is dropped
        if choice.config:
            adopt_on_error(choice.client, choice.config)
        before = defaults.publish(change, choice.client)
        if before:
            defaults.retire(before)
            retired = before
        if defaults.change is change:
            return choice.client, retired, problem
        if choice.client is not defaults.client:
            defaults.retire(choice.client)


def _choose(defaults: _Defaults) -> _Choice:
    """Return a client for the settings as they are now: the present, a former or a new one."""
    current = defaults.client
    settings = defaults.settings
    options = {name: settings[name] for name in _SETTINGS if name in settings}
    as_set, absolute = defaults.spool
    if as_set is not None and options.get("spool") is as_set:
        options["spool"] = absolute  # the process may have changed its folder
    try:
        config = Config(**options)
        defaults.spool = settings.get("spool"), config.spool
        if current and _serves(current, config):
            return _Choice(current, config)
        return _Choice(defaults.reinstate(config) or Client(**options), config)
    except ConfigError as error:
        if not current:
            raise
        return _Choice(current, problem=error)


def _serves(client: Client, config: Config) -> bool:
    """Return whether a client can go on with these options: it may get another `on_error`."""
    options = vars(config) | {"on_error": client.config.on_error}
    return vars(client.config) == options and not is_closed(client)


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
increment: Final = _on_default_client(Client.increment)
configure_gauge: Final = _on_default_client(Client.configure_gauge)


def timer(name: str, source: str | None = None, user_id: Identifier | None = None) -> Timer:
    """Time something for the client that is the default one when it ends; see `Client.timer`."""
    return Timer(gauge, name, source, user_id)


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

    clients = [_client(), *_defaults.list_former()]
    settled = await asyncio.gather(*(client.aflush(timeout) for client in clients))
    _defaults.forget_settled()
    return all(settled)


for _function in (timer, flush, join, shutdown, aflush):
    _function.__module__ = PACKAGE


def _finish(method: Callable[[Client, float | None], bool], seconds: float | None) -> bool:
    """Call the method on the default client and on its predecessors, within one deadline."""
    began = monotonic()
    settled: bool = getattr(_client(), method.__name__)(seconds)
    for one in _defaults.list_former():
        left = None if seconds is None else max(0, began + seconds - monotonic())
        settled = getattr(one, method.__name__)(left) and settled
    _defaults.forget_settled()
    return settled
