"""The module as its own client: settings, calls and the default client."""

from __future__ import annotations

import copy
import importlib
import logging
import os
import pickle
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.background import Background
from support.raw_server import RawServer
from support.signal_handlers import call_with_handler

import segment_librato as analytics
from segment_librato import (
    APIError,
    Client,
    ClientClosedError,
    ConfigError,
    LibratoConfig,
    NetworkError,
    QueueFullError,
    ShutdownTimeoutError,
    SpoolConfig,
    ValidationError,
    global_client,
)
from segment_librato.config.client import Config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.errors import Errors

    from segment_librato.devserver import LocalSegment

MESSAGE_CALLS: dict[str, tuple[Any, ...]] = {
    "track": ("user-1", "Signed Up"),
    "identify": ("user-1", {"plan": "pro"}),
    "group": ("user-1", "group-1"),
    "alias": ("previous-1", "user-1"),
    "page": ("user-1", "Docs", "Python"),
    "screen": ("user-1", "Docs", "Python"),
}
CALLS = (*MESSAGE_CALLS, "flush", "join", "shutdown")
REJECTION = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}"
LONG = 3_600  # seconds: what leaves before was flushed


class Made(Client):
    """A client that is kept in a list."""

    clients: list[Client]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.clients.append(self)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    """Every client that the module makes from now on."""
    monkeypatch.setattr(Made, "clients", [], raising=False)
    monkeypatch.setattr(global_client, "Client", Made)
    return Made.clients


@pytest.fixture(autouse=True)
def _settings(server: LocalSegment, errors: Errors, made: list[Client]) -> Iterator[None]:
    """Point the module at the server; restore everything in the end."""
    logger = logging.getLogger("segment")
    level, handlers = logger.level, list(logger.handlers)
    before = {name: getattr(analytics, name) for name in Config.names()}
    analytics.default_client = None
    analytics.write_key = "test-key"
    analytics.host = server.host
    analytics.on_error = errors
    analytics.upload_interval = LONG
    yield
    server.release()
    for client in made:
        client.shutdown(timeout=1)
    for name, value in before.items():
        setattr(analytics, name, value)
    analytics.default_client = None
    logger.setLevel(level)
    logger.handlers[:] = handlers


def default_client() -> Client:
    client = analytics.default_client
    assert client is not None
    return client


def track(event: str = "Signed Up") -> str:
    """Track an event and return the id of its message."""
    accepted, message = analytics.track("user-1", event)
    assert accepted
    return message["messageId"]  # type: ignore[no-any-return]


def received(server: LocalSegment) -> set[str]:
    return {message["messageId"] for message in server.messages}


# The calls.


@pytest.mark.parametrize("call", MESSAGE_CALLS)
def test_a_call_delivers_through_the_default_client(call: str, server: LocalSegment) -> None:
    accepted, message = getattr(analytics, call)(*MESSAGE_CALLS[call])
    assert accepted
    assert analytics.flush(30)
    (delivered,) = server.messages
    assert delivered["type"] == call
    assert delivered.items() >= message.items()


@pytest.mark.parametrize("call", CALLS)
def test_a_call_without_a_write_key_raises_and_makes_nothing(call: str, made: list[Client]) -> None:
    analytics.write_key = None
    with pytest.raises(ConfigError, match=r"^write_key: ") as caught:
        getattr(analytics, call)(*MESSAGE_CALLS.get(call, ()))
    assert isinstance(caught.value, AssertionError)
    assert analytics.default_client is None
    assert not made


@pytest.mark.parametrize("name", [*Config.names(), "default_client"])
def test_a_setting_that_was_deleted_has_its_default(name: str) -> None:
    analytics.send = False  # not to the default host
    track()
    delattr(analytics, name)
    assert analytics.track("user-1", "Signed Up")[0]
    if name not in {"write_key", "default_client"}:  # without a key, the earlier client goes on
        client = analytics.default_client
        assert client
        assert getattr(client, name) == getattr(Config, name)


@pytest.mark.parametrize("call", ["flush", "join", "shutdown"])
def test_the_client_is_made_by_what_finishes_too(call: str, made: list[Client]) -> None:
    assert getattr(analytics, call)()
    assert made == [analytics.default_client]


@pytest.mark.parametrize("call", ["flush", "join", "shutdown"])
@pytest.mark.parametrize("timeout", ["5", True, float("nan"), [5]], ids=repr)
def test_a_timeout_that_is_none_is_rejected(call: str, timeout: Any) -> None:
    track()
    with pytest.raises(ValidationError, match=r"^timeout: expected a number of seconds or None"):
        getattr(analytics, call)(timeout)
    assert default_client().queue.qsize() == 1


@pytest.mark.parametrize("timeout", [0, -1])
def test_a_flush_without_time_tells_that_it_is_not_done(
    timeout: float, server: LocalSegment
) -> None:
    with server.hold():
        track()
        assert not analytics.flush(timeout)
    assert analytics.flush(30)


def test_after_a_shutdown_calls_return_false(server: LocalSegment, errors: Errors) -> None:
    identifier = track()
    assert analytics.shutdown()
    accepted, message = analytics.track("user-1", "too late")
    assert not accepted
    assert message["event"] == "too late"
    assert errors.types == [ClientClosedError]
    assert errors.message_ids == [message["messageId"]]
    assert received(server) == {identifier}
    assert analytics.flush(0)


def test_after_a_join_calls_are_delivered_again(server: LocalSegment) -> None:
    first = track()
    assert analytics.join(30)
    assert [consumer.is_alive() for consumer in default_client().consumers] == [False]
    second = track()
    assert analytics.flush(30)
    assert received(server) == {first, second}


# The settings.

OTHER_VALUES: dict[str, Any] = {
    "write_key": "another-key",
    "host": "http://127.0.0.1:9/path",
    "debug": True,
    "max_queue_size": 17,
    "send": False,
    "on_error": print,
    "gzip": True,
    "max_retries": 3,
    "sync_mode": True,
    "timeout": (1, 2),
    "proxies": {"http": "http://127.0.0.1:9"},
    "thread": 2,
    "upload_size": 7,
    "upload_interval": 0.25,
    "log_handler": logging.NullHandler(),
    "oauth_client_id": None,
    "oauth_client_key": None,
    "oauth_key_id": None,
    "oauth_auth_server": "http://127.0.0.1:9",
    "oauth_scope": "another:scope",
    "max_total_backoff_duration": 11,
    "max_rate_limit_duration": 12,
    "exit_timeout": 1.5,
    "shutdown_timeout": 2.5,
    "sync_timeout": 4.5,
    "max_queue_bytes": 100_000,
    "block_on_full": 3.5,
    "gauges": LibratoConfig("a@b.example", "token", host="http://127.0.0.1:9"),
    "flush_in_children": False,
    "spool": SpoolConfig(Path(tempfile.gettempdir()) / "segment-spool"),
    "before_send": dict,
    "default_context": {"app": {"name": "shop"}},
    "sample_rate": {"Page Scrolled": 0.1},
    "trace_context": True,
    "on_delivered": print,
}


@pytest.mark.parametrize("name", Config.names())
@pytest.mark.parametrize("when", ["before the first call", "after it"])
def test_every_setting_reaches_the_client(name: str, when: str) -> None:
    assert name in OTHER_VALUES, "add a value other than the default to OTHER_VALUES"
    if when == "after it":
        analytics.flush()
    setattr(analytics, name, OTHER_VALUES[name])
    analytics.flush()
    assert getattr(default_client().config, name) == OTHER_VALUES[name]


def test_the_settings_of_oauth_reach_the_client() -> None:
    analytics.oauth_client_id = "client-id"
    with pytest.raises(ConfigError, match=r"^oauth_client_key: expected a str, because oauth_"):
        analytics.flush()
    analytics.send = False
    analytics.oauth_client_key = "key"
    analytics.oauth_key_id = "key-id"
    analytics.flush()
    assert default_client().config.uses_oauth


def test_the_setting_gzip_compresses(server: LocalSegment) -> None:
    analytics.gzip = True
    track()
    assert analytics.flush(30)
    (request,) = server.requests
    assert request.headers["Content-Encoding"] == "gzip"


def test_the_setting_send_keeps_everything_here(server: LocalSegment) -> None:
    analytics.send = False
    track()
    assert analytics.flush(30)
    assert analytics.shutdown()
    assert not server.requests


def test_the_setting_sync_mode_delivers_within_the_call(server: LocalSegment) -> None:
    analytics.sync_mode = True
    identifier = track()
    assert received(server) == {identifier}


def test_the_setting_on_error_learns_of_failures(server: LocalSegment, errors: Errors) -> None:
    server.respond(400)
    identifier = track()
    assert analytics.flush(30)
    assert errors.types == [APIError]
    assert errors.message_ids == [identifier]


@pytest.mark.parametrize("nothing", [None, False, 0])
def test_a_falsy_on_error_is_none(nothing: Any, server: LocalSegment) -> None:
    analytics.on_error = nothing
    server.respond(400)
    track()
    assert analytics.flush(30)
    assert default_client().stats.failed == 1


def test_the_setting_max_retries_limits_requests(server: LocalSegment, errors: Errors) -> None:
    analytics.max_retries = 1
    server.respond(500, times=None)
    track()
    assert analytics.flush(30)
    assert len(server.requests) == 2
    assert errors.types == [APIError]


def test_the_setting_timeout_ends_a_silence(server: LocalSegment, errors: Errors) -> None:
    analytics.timeout = 0.05
    analytics.max_retries = 0
    with server.hold():
        track()
        assert analytics.flush(30)
    assert errors.types == [NetworkError]


def test_the_setting_proxies_is_used(server: LocalSegment) -> None:
    analytics.host = "http://segment.invalid"
    analytics.proxies = {"http": server.host}
    analytics.max_retries = 0
    track()
    assert analytics.flush(30)
    (request,) = server.requests
    assert "segment.invalid" in (request.path + request.headers["Host"])


def test_the_setting_upload_size_lets_a_batch_leave(server: LocalSegment) -> None:
    analytics.upload_size = 2
    expected = {track(), track()}
    assert server.wait_for(2)
    assert received(server) == expected


def test_the_setting_upload_interval_lets_a_batch_leave(server: LocalSegment) -> None:
    analytics.upload_interval = 0.01
    track()
    assert server.wait_for(1)


def test_the_setting_max_queue_size_bounds_what_waits(server: LocalSegment, errors: Errors) -> None:
    analytics.max_queue_size = 1
    with server.hold():
        track()
        assert server.wait_until(lambda: server.held == 1)
        track()
        accepted, message = analytics.track("user-1", "one too many")
    assert not accepted
    assert errors.types == [QueueFullError]
    assert errors.message_ids == [message["messageId"]]


def test_the_setting_thread_is_the_number_of_consumers() -> None:
    analytics.thread = 3
    track()
    assert [consumer.is_alive() for consumer in default_client().consumers] == [True] * 3
    assert analytics.shutdown()
    assert [consumer.is_alive() for consumer in default_client().consumers] == [False] * 3


def test_the_setting_shutdown_timeout_ends_a_shutdown(server: LocalSegment, errors: Errors) -> None:
    analytics.shutdown_timeout = 0.05
    with server.hold():
        identifier = track()
        assert not analytics.shutdown()
    assert errors.types == [ShutdownTimeoutError]
    assert errors.message_ids == [identifier]


def test_the_settings_log_handler_and_debug_show_what_happens() -> None:
    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    analytics.log_handler = Keep()
    analytics.debug = True
    track()
    assert analytics.flush(30)
    assert any(record.levelno == logging.DEBUG for record in records)
    assert not any("test-key" in record.getMessage() for record in records)


# Settings that change.


def test_a_changed_setting_takes_effect_on_the_next_call(server: LocalSegment) -> None:
    first = track()
    analytics.write_key = "another-key"
    second = track()
    assert analytics.flush(30)
    assert received(server) == {first, second}
    by_key = {request.write_key: request.message_ids for request in server.requests}
    assert by_key == {"test-key": (first,), "another-key": (second,)}


@pytest.mark.parametrize("call", ["flush", "join", "shutdown"])
@pytest.mark.parametrize("timeout", [(), (5,)], ids=["without timeout", "with timeout"])
def test_what_finishes_right_after_a_change_covers_the_earlier_client(
    call: str, timeout: tuple[float, ...], server: LocalSegment
) -> None:
    identifier = track()
    analytics.gzip = True
    assert getattr(analytics, call)(*timeout)
    assert received(server) == {identifier}


def test_a_flush_covers_every_earlier_client(server: LocalSegment) -> None:
    expected = set()
    for size in range(10, 15):
        analytics.max_queue_size = size
        expected.add(track())
    assert analytics.flush(30)
    assert received(server) == expected
    assert server.duplicates == 0


def test_one_timeout_holds_for_all_clients_together(server: LocalSegment) -> None:
    with server.hold():
        track()
        analytics.gzip = True
        track()
        assert not analytics.flush(0.05)
        assert not analytics.shutdown(0.05)


def test_a_setting_assigned_again_with_the_same_value_changes_nothing(made: list[Client]) -> None:
    for _ in range(3):
        analytics.write_key = "test-key"
        analytics.gzip = False
        track()
    assert made == [analytics.default_client]


def test_a_setting_that_becomes_wrong_is_told_once_and_the_calls_go_on(
    server: LocalSegment, errors: Errors, made: list[Client], caplog: pytest.LogCaptureFixture
) -> None:
    expected = {track()}
    analytics.upload_size = 0
    expected |= {track(), track()}
    assert analytics.flush(30)
    assert received(server) == expected
    assert made == [analytics.default_client]
    text = "upload_size: expected at least 1, got 0"
    assert [(str(error), messages) for error, messages in errors.calls] == [(text, [])]
    assert errors.types == [ConfigError]
    assert caplog.messages == [f"{text}; the earlier settings stay in force"]

    analytics.max_retries = -1  # another mistake is told, too
    expected.add(track())
    assert len(errors.calls) == 2

    analytics.upload_size, analytics.max_retries = 50, 3
    expected.add(track())
    assert analytics.flush(30)
    assert received(server) == expected
    assert default_client().config.upload_size == 50
    assert len(errors.calls) == 2


@pytest.mark.parametrize("call", ["flush", "join", "shutdown"])
def test_what_finishes_does_not_raise_for_a_setting_that_became_wrong(
    call: str, server: LocalSegment, errors: Errors
) -> None:
    identifier = track()
    analytics.timeout = -1
    assert getattr(analytics, call)(5)
    assert received(server) == {identifier}
    assert errors.types == [ConfigError]


def test_a_wrong_setting_is_told_to_the_on_error_that_is_set_with_it(errors: Errors) -> None:
    track()
    told: list[Exception] = []
    analytics.on_error = lambda error, _: told.append(error)
    analytics.timeout = -1
    track()
    assert [type(error) for error in told] == [ConfigError]
    assert not errors.calls


def test_a_wrong_on_error_leaves_the_earlier_one_in_force(
    server: LocalSegment, errors: Errors
) -> None:
    track()
    analytics.on_error = "print"  # type: ignore[assignment]
    server.respond(400, times=None)
    track()
    assert analytics.flush(30)
    assert errors.types == [ConfigError, APIError, APIError]


def test_an_on_error_that_is_told_of_a_wrong_setting_may_correct_it(server: LocalSegment) -> None:
    def correct(error: Exception, messages: list[dict[str, Any]]) -> None:
        analytics.timeout = 5
        analytics.track("user-1", "corrected")

    track()
    analytics.on_error = correct
    analytics.timeout = -1
    track()
    assert analytics.flush(30)
    assert default_client().timeout == 5
    assert len(server.messages) == 3


def test_an_on_error_that_assigns_a_wrong_setting_is_not_called_for_it_again() -> None:
    calls: list[Exception] = []

    def spoil(error: Exception, messages: list[dict[str, Any]]) -> None:
        calls.append(error)
        analytics.timeout = -1
        analytics.track("user-1", "spoilt")

    track()
    analytics.on_error = spoil
    analytics.timeout = -1
    track()
    assert len(calls) == 1


def test_a_wrong_setting_taken_back_leaves_the_client_as_it_was(made: list[Client]) -> None:
    track()
    analytics.timeout = -1
    track()
    analytics.timeout = Config.timeout
    track()
    assert made == [analytics.default_client]


def test_settings_as_applications_read_them_from_the_environment(
    server: LocalSegment, caplog: pytest.LogCaptureFixture
) -> None:
    untyped: Any = analytics
    untyped.debug = os.getenv("NO_SUCH_VARIABLE_DEBUG")
    untyped.gzip = os.getenv("NO_SUCH_VARIABLE_GZIP", "1")
    untyped.sync_mode = os.getenv("NO_SUCH_VARIABLE_SYNC", "")
    analytics.host = server.host
    identifier = track()
    assert analytics.flush(30)
    assert received(server) == {identifier}
    assert server.requests[0].headers["Content-Encoding"] == "gzip"
    assert not caplog.messages
    untyped.send = ""
    analytics.write_key = None
    analytics.host = "not a host"
    track()
    assert analytics.flush(30)
    assert len(server.requests) == 1


def test_with_an_empty_write_key_nothing_is_sent_and_one_line_says_so(
    server: LocalSegment, errors: Errors, caplog: pytest.LogCaptureFixture
) -> None:
    analytics.write_key = ""
    track()
    track()
    assert analytics.shutdown(30)
    assert caplog.messages == ["write_key is empty: nothing is sent to Segment"]
    assert not server.requests
    assert not errors.calls


def test_an_on_error_for_each_request_makes_one_client_and_each_is_told_of_its_own(
    made: list[Client],
) -> None:
    """As in a view that sets it: 1,500 of them share one consumer and one connection."""
    told: list[int] = []
    threads: set[threading.Thread | None] = set()
    logging.getLogger("segment").setLevel(logging.CRITICAL)
    with RawServer(lambda: [REJECTION], keep_alive=True) as server:
        analytics.host = server.host
        for number in range(1_500):
            analytics.on_error = lambda _error, _messages, number=number: told.append(number)
            track()
            assert analytics.flush(30)
            threads |= {consumer.thread for consumer in default_client().consumers}
            assert told == [*range(number + 1)]
        assert len(server.requests) == 1_500
        assert server.connections == 1
    assert made == [analytics.default_client]
    assert len(threads) == 1


def test_settings_that_alternate_go_on_with_the_clients_that_are_there(
    server: LocalSegment, made: list[Client]
) -> None:
    expected = set()
    with server.hold():
        for number in range(20):
            analytics.write_key = f"tenant-{number % 3}"
            expected.add((f"tenant-{number % 3}", track()))
    assert len(made) == 3
    assert analytics.flush(30)
    assert {(r.write_key, one) for r in server.requests for one in r.message_ids} == expected


def test_there_are_only_a_few_earlier_clients_though_nothing_is_delivered(
    server: LocalSegment,
    made: list[Client],
    errors: Errors,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(global_client, "MAX_FORMER_WAIT", 0.01)
    tracked = []
    with server.hold():
        for number in range(global_client.MAX_FORMER + 4):
            analytics.write_key = f"tenant-{number}"
            tracked.append(track())
            alive = [one for client in made for one in client.consumers if one.is_alive()]
            assert (
                len([one for one in made if not one.queue.closed]) <= global_client.MAX_FORMER + 1
            )
            assert len(alive) <= global_client.MAX_FORMER + 4
    assert analytics.flush(30)
    assert errors.message_ids == tracked[:3]
    assert set(errors.types) == {ShutdownTimeoutError}
    assert caplog.messages[0] == (
        "settings change faster than messages arrive; make a Client for each"
    )
    assert len(caplog.messages) == 1 + 3


@pytest.mark.parametrize("value", ["test-key", "another-key"])
def test_a_setting_assigned_after_a_shutdown_starts_anew(
    value: str, server: LocalSegment, errors: Errors
) -> None:
    """A notebook's cell that sets the key, tracks and shuts down can be run again."""
    identifiers = set()
    for _ in range(3):
        analytics.write_key = value
        identifiers.add(track())
        assert analytics.shutdown(30)
    assert received(server) == identifiers
    assert not errors.calls


@pytest.mark.parametrize(
    "name, nearest",
    [("max_retires", "max_retries"), ("writeKey", "write_key"), ("on_eror", "on_error")],
)
def test_a_misspelt_setting_is_warned_about_once(
    name: str, nearest: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in (3, 4):
        monkeypatch.setattr(analytics, name, value, raising=False)
    assert caplog.messages == [f"there is no setting `{name}`; did you mean `{nearest}`?"]


def test_other_attributes_are_nobodys_business(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("my_helper", "_write_keys", "__path_hook__"):
        monkeypatch.setattr(analytics, name, 1, raising=False)
    monkeypatch.setattr(analytics, "track", print)
    assert importlib.import_module("segment_librato.sending")  # much like `send`
    assert not caplog.messages


@pytest.mark.parametrize(
    "reproduce",
    [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))],  # noqa: S301
    ids=["copy", "deepcopy", "pickle"],
)
def test_the_module_is_pickled_by_its_name(reproduce: Any) -> None:
    assert reproduce(analytics) is analytics
    assert reproduce({"module": analytics})["module"] is analytics


def test_an_earlier_client_that_has_delivered_leaves_no_thread(made: list[Client]) -> None:
    track()
    (consumer,) = default_client().consumers
    analytics.gzip = True
    assert analytics.flush(30)
    del made[0]  # the one reference that is not the module's
    assert consumer.thread is not None
    consumer.thread.join(30)
    assert not consumer.is_alive()


def test_settings_that_change_under_load_lose_nothing_and_are_never_ignored(
    server: LocalSegment,
) -> None:
    stop = threading.Event()
    accepted: list[str] = []

    def hammer() -> None:
        while not stop.is_set():
            accepted.append(track())
            if default_client().queue.qsize() > 1_000:  # a change may wait for what it leaves
                default_client().flush(10)

    analytics.max_queue_size = 0
    accepted.append(track())
    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for size in range(100_000, 100_020):
            analytics.max_queue_size = size
            accepted.append(track())
            assert default_client().config.max_queue_size == size
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert analytics.flush(10)
    assert server.wait_for(len(accepted))
    assert received(server) == set(accepted)
    assert server.duplicates == 0


# The default client.


def test_threads_that_race_make_one_client(made: list[Client], server: LocalSegment) -> None:
    count = 16
    used: list[Client] = []
    for attempt in range(1, 21):
        analytics.default_client = None
        barrier = threading.Barrier(count)
        seen: list[Client | None] = []

        def race(barrier: threading.Barrier = barrier, seen: list[Client | None] = seen) -> None:
            barrier.wait()
            track()
            seen.append(analytics.default_client)

        threads = [threading.Thread(target=race) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(seen) == {analytics.default_client}
        unused = [client for client in made if client not in used and client not in seen]
        assert not any(client.stats.accepted for client in unused)
        used.append(default_client())
        assert analytics.flush(30)
        assert len(server.messages) == count * attempt


def start_anew() -> None:
    analytics.default_client = None


def change_a_setting() -> None:
    track()
    analytics.max_queue_size += 1


def assign_a_client() -> None:
    own = Made("own-key", host=analytics.host, upload_interval=LONG)
    analytics.default_client = own


ACTS = (start_anew, change_a_setting, assign_a_client)


@pytest.mark.slow
@pytest.mark.parametrize("prepare", [start_anew, change_a_setting])
@pytest.mark.parametrize(
    "meanwhile",
    [None, *(pytest.param(each, marks=pytest.mark.once) for each in ACTS)],
)
def test_wherever_a_call_makes_a_client_the_call_of_another_thread_goes_on(
    prepare: Callable[[], None],
    meanwhile: Callable[[], None] | None,
    server: LocalSegment,
    made: list[Client],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A lock that the first one held would keep the other one waiting."""
    monkeypatch.setattr(analytics, "max_queue_size", 1_000)
    line = 0
    got_that_far = True

    def others() -> None:
        if meanwhile:
            meanwhile()
        analytics.track("other", "of another thread")

    while got_that_far:
        line += 3
        prepare()
        got_that_far = call_with_handler(
            lambda: analytics.track("first", "interrupted"),
            line,
            lambda: Background(others).wait(),
            step="line",
        )
        current = default_client()
        track()
        assert default_client() is current, f"line {line}"
        if meanwhile is assign_a_client and got_that_far:
            assert current.write_key == "own-key"
    assert line > 20
    assert all(client.flush(30) for client in made)
    assert analytics.flush(30)
    by_user = Counter(message["userId"] for message in server.messages)
    assert by_user["first"] == line / 3
    assert by_user["other"] == line / 3 - 1
    assert server.duplicates == 0


def test_the_calls_of_threads_take_no_lock_though_a_setting_is_changed(
    server: LocalSegment,
) -> None:
    with server.hold():
        track()
        queue = default_client().queue
        analytics.max_queue_size = 5
        with queue.lock:
            assert Background(track).wait()
    assert analytics.flush(30)
    assert len(server.messages) == 2


def test_a_default_client_of_none_starts_anew(server: LocalSegment, made: list[Client]) -> None:
    first = track()
    analytics.default_client = None
    second = track()
    assert len(made) == 2
    assert made[0] is not made[1]
    assert analytics.flush(30)
    assert made[0].flush(30)
    assert received(server) == {first, second}


def test_a_default_client_set_to_none_under_load_harms_no_call() -> None:
    analytics.send = False
    stop = threading.Event()
    failures: list[Exception] = []

    def hammer() -> None:
        try:
            while not stop.is_set():
                track()
        except Exception as error:  # noqa: BLE001  whatever it is, it is shown below
            failures.append(error)

    threads = [threading.Thread(target=hammer) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        analytics.default_client = None
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_client_of_ones_own_is_used_whatever_the_settings(
    server: LocalSegment, made: list[Client]
) -> None:
    analytics.write_key = "not used"
    own = Client("own-key", host=server.host, upload_interval=LONG)
    analytics.default_client = own
    identifier = track()
    assert analytics.flush(30)
    assert analytics.default_client is own
    assert [(r.write_key, r.message_ids) for r in server.requests] == [("own-key", (identifier,))]
    assert not made
    assert analytics.shutdown()
    assert not own.track("user-1", "too late")[0]


def test_a_setting_changed_afterwards_replaces_a_client_of_ones_own(
    server: LocalSegment, made: list[Client]
) -> None:
    analytics.default_client = Client("own-key", host=server.host, upload_interval=LONG)
    first = track()
    analytics.max_queue_size = 5
    second = track()
    assert made == [analytics.default_client]
    assert analytics.flush(30)
    assert received(server) == {first, second}
