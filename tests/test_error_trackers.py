"""Error trackers upload the local variables of stack frames: there must be no secrets in ours."""

from __future__ import annotations

import signal
import sys
import traceback
from contextlib import suppress
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from support.raw_server import FOREVER, Ending, RawServer

import segment_librato as analytics
from segment_librato import (
    Client,
    LibratoConfig,
    OpenTelemetryConfig,
    SegmentError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WRITE_KEY = "Wr1te-Key-That-Nobody-May-See"
BASIC = "V3IxdGUtS2V5LVRoYXQtTm9ib2R5LU1heS1TZWU6"
TOKEN = "t0ken-that-nobody-may-see"  # noqa: S105  not a real one
PASSWORD = "pr0xy-passw0rd-that-nobody-may-see"  # noqa: S105
SECRETS = (WRITE_KEY, BASIC, TOKEN, PASSWORD)
PAYLOAD = "payl0ad"
REFUSAL = b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n{}"


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and all that led to it, whether or not a traceback would show it."""
    seen: list[BaseException | None] = [None]
    pending = [error]
    while pending:
        one = pending.pop()
        if one not in seen and one is not None:
            seen.append(one)
            pending += [one.__cause__, one.__context__]
            yield one


def spelled_out(value: object, depth: int = 5) -> Iterator[str]:
    """Yield what an error tracker makes of a value: the items of containers, and reprs."""
    if depth and isinstance(value, (dict, list, tuple, set)):
        items = [*value.items()] if isinstance(value, dict) else value
        for item in items:
            yield from spelled_out(item, depth - 1)
    elif not isinstance(value, (ModuleType, FrameType)):
        with suppress(AttributeError):  # of an object that was never finished
            yield repr(value)


def uploaded_of(error: BaseException | None) -> str:
    """Return the local variables of all frames behind an error, but for those of this file."""
    frames = [frame for one in chain(error) for frame, _ in traceback.walk_tb(one.__traceback__)]
    return "\n".join(
        text
        for frame in frames
        if frame.f_code.co_filename != __file__
        for value in frame.f_locals.values()
        for text in spelled_out(value)
    )


def assert_nothing_is_uploaded_of(error: BaseException | None, *more: str) -> None:
    uploaded = uploaded_of(error)
    for secret in (*SECRETS, *more):
        assert secret not in uploaded


class Tracker:
    """An `on_error` as an error tracker sees it."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, error: SegmentError, messages: list[dict[str, Any]]) -> None:
        self.calls += 1
        behind = (error.__traceback__, error.__cause__, error.__context__)
        assert behind == (None, None, None)
        assert_nothing_is_uploaded_of(sys.exc_info()[1], PAYLOAD)


SCRIPTS: dict[str, Callable[[], Any]] = {
    "refusal": lambda: [REFUSAL],
    "reset": lambda: [Ending.RESET],
    "garbage": lambda: [b"garbage\r\n\r\n"],
}
ACCOUNTS: dict[str, Callable[[str], dict[str, Any]]] = {
    "segment": lambda host: {"write_key": WRITE_KEY, "host": host, "max_retries": 0},
    "librato": lambda host: {
        "gauges": LibratoConfig("a@b.c", TOKEN, host=host, max_retries=0),
    },
    "otlp": lambda host: {
        "gauges": OpenTelemetryConfig(host, {"authorization": TOKEN}, max_retries=0),
    },
}


@pytest.mark.parametrize("sync_mode", [False, True])
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_error_is_handed_over_without_what_led_to_it(
    account: str, script: Callable[[], Any], sync_mode: bool
) -> None:
    tracker = Tracker()
    problems: list[BaseException] = []

    def on_error(error: SegmentError, messages: list[dict[str, Any]]) -> None:
        try:
            tracker(error, messages)
        except BaseException as problem:  # noqa: BLE001  the library would only log it
            problems.append(problem)

    with RawServer(script) as server:
        options = ACCOUNTS[account](server.host)
        client = Client(**options, sync_mode=sync_mode, on_error=on_error)
        client.gauge(PAYLOAD, 1)
        client.shutdown()
    assert problems == []
    assert tracker.calls == 1


def test_what_is_raised_by_a_request_inside_a_call_has_no_secrets_in_its_frames() -> None:
    for script in SCRIPTS.values():
        with RawServer(script) as server:
            client = Client(gauges=LibratoConfig("a@b.c", TOKEN, host=server.host))
            with pytest.raises(SegmentError) as raised:
                client.configure_gauge("E")
            assert_nothing_is_uploaded_of(raised.value)
            assert [one for one in chain(raised.value) if one is not raised.value] == []
            client.shutdown()


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize("account", ACCOUNTS)
def test_what_a_call_in_sync_mode_raises_has_no_secrets_in_its_frames(
    account: str, script: Callable[[], Any]
) -> None:
    with RawServer(script) as server:
        client = Client(**ACCOUNTS[account](server.host), sync_mode=True)
        with pytest.raises(SegmentError) as raised:
            client.gauge("g", 1)
        client.shutdown()
    assert_nothing_is_uploaded_of(raised.value)
    assert [one for one in chain(raised.value) if one is not raised.value] == []


class HandlerError(BaseException):
    """What a signal handler of the application raises."""


def test_what_interrupts_a_request_finds_no_secrets_in_its_frames() -> None:
    def interrupt(*_: object) -> NoReturn:
        raise HandlerError

    told: list[str] = []

    def on_error(error: SegmentError, messages: list[dict[str, Any]]) -> None:
        told.append(uploaded_of(sys.exc_info()[1]))

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with RawServer(lambda: [FOREVER]) as server:
            client = Client(WRITE_KEY, server.host, sync_mode=True, on_error=on_error)
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(HandlerError) as raised:
                client.track("user", "event")
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert_nothing_is_uploaded_of(raised.value)
            names = [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]
            assert names[-1] == "interrupt"  # the traceback itself is whole
            client.shutdown()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(told) == 1
    assert not [secret for secret in SECRETS if secret in told[0]]


def test_what_interrupts_the_set_up_of_a_gauge_finds_no_secrets_in_its_frames() -> None:
    def interrupt(*_: object) -> NoReturn:
        raise HandlerError

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with RawServer(lambda: [FOREVER]) as server:
            client = Client(**ACCOUNTS["librato"](server.host))
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(HandlerError) as raised:
                client.configure_gauge("g")
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert_nothing_is_uploaded_of(raised.value, "Basic ")
            client.shutdown()
    finally:
        signal.signal(signal.SIGALRM, before)


WRONG: list[dict[str, Any]] = [
    {"timeout": -1},
    {"host": "ftp://nowhere"},
    {"write_key": f"{WRITE_KEY}\n"},
    {"proxies": {"http": f"u:{PASSWORD}@proxy:3128"}},
    {"oauth_client_id": "id", "oauth_client_key": PASSWORD, "oauth_key_id": "key"},
    {"oauth_client_id": "id", "oauth_client_key": PASSWORD},
    {"default_context": {"secret": PASSWORD, "text": "x" * 33_000}},
]


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_an_option_that_is_rejected_shows_no_other_option(wrong: dict[str, Any]) -> None:
    proxies = {"https": f"http://u:{PASSWORD}@proxy:3128"}
    with pytest.raises(SegmentError) as raised:
        Client(**{"write_key": WRITE_KEY, "proxies": proxies, **wrong})
    assert_nothing_is_uploaded_of(raised.value)
    assert [one for one in chain(raised.value) if one is not raised.value] == []


@pytest.mark.parametrize(
    "wrong", [{"period": 1}, {"host": "ftp://nowhere"}, {"token": f"{TOKEN}\n"}]
)
def test_an_account_that_is_rejected_shows_no_token(wrong: dict[str, Any]) -> None:
    with pytest.raises(SegmentError) as raised:
        LibratoConfig(**{"email": "a@b.c", "token": TOKEN, **wrong})
    assert_nothing_is_uploaded_of(raised.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: LibratoConfig("a@b.c", TOKEN, endpoint="https://librato.example"),  # type: ignore[call-arg]
        lambda: LibratoConfig("a@b.c", TOKEN, email="a@b.c"),  # type: ignore[misc]
        lambda: LibratoConfig(*["a@b.c"] * 8, *[TOKEN] * 8),  # type: ignore[arg-type]
        lambda: OpenTelemetryConfig(f"http://u:{PASSWORD}@metrics.example"),
        lambda: Client(WRITE_KEY, f"http://u:{PASSWORD}@segment.example"),
        lambda: Client(WRITE_KEY, gauges=TOKEN),  # type: ignore[arg-type]
    ],
    ids=["unexpected", "twice", "many", "endpoint", "host", "gauges"],
)
def test_a_call_that_makes_no_sense_shows_no_secret(make: Callable[[], object]) -> None:
    with pytest.raises((SegmentError, TypeError)) as raised:
        make()
    assert_nothing_is_uploaded_of(raised.value)


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_a_setting_that_is_rejected_shows_no_other_setting(
    wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"default_client": None, "write_key": WRITE_KEY, **wrong}.items():
        monkeypatch.setattr(analytics, name, value)
    with pytest.raises(SegmentError) as raised:
        analytics.track("user", "event")
    assert_nothing_is_uploaded_of(raised.value)
