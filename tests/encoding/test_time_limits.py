"""What a signal handler raises in the middle of a call reaches the caller, wherever it strikes.

Time limits (Celery's soft one, RQ's, one made with `signal.alarm`) raise an ordinary exception,
often a `TimeoutError`. None may vanish, and no message may be queued that it has damaged.
"""

from __future__ import annotations

import enum
import signal
import sys
from collections import UserDict
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
import pytest
from support.interruptions import (
    EACH_TYPE,
    OF_ALL_TYPES,
    SoftTimeLimit,
    in_turn,
    interrupted,
    one_at_a_time,
    rotated,
    strike,
)

from segment_librato import LibratoConfig
from segment_librato.encoding import coerce as coerce_module
from segment_librato.encoding.coerce import coerce
from segment_librato.encoding.encoder import message_encoder
from segment_librato.errors import MessageTooLargeError
from segment_librato.foreign.interruption import is_interruption
from segment_librato.librato import map_message
from segment_librato.message import build as message_build
from segment_librato.process.locks import Waiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from segment_librato import Client
    from segment_librato.devserver import LocalSegment

    MakeClient = Callable[..., Client]

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


class Plan(enum.Enum):
    PRO = "pro"


class Account:
    def __str__(self) -> str:
        return "an account"


class Broken:
    def __str__(self) -> str:
        raise ZeroDivisionError


@dataclass
class Item:
    name: str = "cup"


FLAT = {"plan": "pro", "seats": 7, "price": 12.5, "trial": False, "none": None}
NESTED = {"cart": [{"sku": "a", "price": 1.5}, {"sku": "b", "tags": ["x", {"y": 1}]}]}
RICH = {
    "set": {1},
    "at": MOMENT,
    "amount": Decimal("1.5"),
    "plan": Plan.PRO,
    "account": Account(),
    "broken": Broken(),
    "id": UUID(int=7),
    "item": Item(),
    "bytes": b"\xff",
    "array": np.array([1.5, 2]),
    "scalar": np.float32(1.5),
    "mapping": UserDict(a=1),
    "nan": float("nan"),
    "surrogate": "\ud800",
    1: 2,
}
DATED = {"at": MOMENT, "seats": 7}
EVENTS: dict[str, dict[Any, Any]] = {
    "flat": FLAT,
    "nested": NESTED,
    "dated": DATED,
    "rich": RICH,
}
ALL_TYPES = [pytest.param(OF_ALL_TYPES, id="all"), *one_at_a_time(EACH_TYPE)]


def arguments(properties: dict[Any, Any]) -> dict[str, Any]:
    """Return arguments of `track`, as odd as its properties."""
    if properties is not RICH:
        return {"user_id": "user", "event": "event"}
    return {"user_id": UUID(int=7), "event": Plan("pro").value, "timestamp": MOMENT}


@pytest.mark.parametrize("exceptions", ALL_TYPES)
@pytest.mark.parametrize("name", EVENTS)
def test_it_reaches_the_caller_and_what_is_queued_is_whole(
    server: LocalSegment,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    exceptions: tuple[type[Exception], ...],
) -> None:
    check_each_place(server, make_client, monkeypatch, name, exceptions)


@pytest.mark.parametrize("name", ["flat", "nested"])  # no code of a value, whose it would be
def test_so_does_one_that_another_thread_has_set(
    server: LocalSegment, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    check_each_place(server, make_client, monkeypatch, name, (SoftTimeLimit,), by="thread")


def check_each_place(
    server: LocalSegment,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    exceptions: tuple[type[Exception], ...],
    *,
    by: str = "call",
) -> None:
    """Strike at each place of a call; one of many places is struck by only one exception."""
    properties = EVENTS[name]
    client = make_client(upload_interval=60, max_queue_size=0)
    _, whole = client.track(**arguments(properties), properties=properties)

    def call() -> None:
        client.track(**arguments(properties), properties=properties)

    for first in range(1 if name == "rich" else len(exceptions)):
        place = 0
        got_that_far = True
        while got_that_far:
            place += 1
            monkeypatch.setattr(coerce_module, "_reported", {})  # so that it is logged again
            got_that_far = interrupted(call, place, rotated(exceptions, first), by=by)
        assert place > 15
    assert client.flush(timeout=20)
    assert server.messages
    for message in server.messages:
        assert message["properties"] == whole["properties"]
        assert message["userId"] == whole["userId"]


@pytest.mark.parametrize("options", [{}, {"aggregate": 60}])
@pytest.mark.parametrize("exceptions", ALL_TYPES)
def test_it_reaches_the_caller_of_gauge(
    server: LocalSegment,
    make_client: MakeClient,
    exceptions: tuple[type[Exception], ...],
    options: dict[str, Any],
) -> None:
    account = LibratoConfig("a@b.c", "token", host=server.host, **options)
    for first in range(len(exceptions)):
        client = make_client(gauges=account, upload_interval=60, max_queue_size=0)
        gauge = partial(client.gauge, "g", 1.5, timestamp="2014-09-03T24:00:00Z")
        place = 0
        got_that_far = True
        while got_that_far:
            gauge()  # which adds up what the interruption left, so that no place is passed over
            place += 1
            got_that_far = interrupted(gauge, place, rotated(exceptions, first))
        assert place > 100
        assert client.shutdown(timeout=20)


@pytest.mark.parametrize("exceptions", [pytest.param(OF_ALL_TYPES, id="all"), *in_turn(EACH_TYPE)])
@pytest.mark.parametrize("name", EVENTS)
def test_it_passes_through_each_line_of_the_encoder(
    name: str, exceptions: tuple[type[Exception], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    built = message_build.build("track", "user", None, None, None, None, "id")
    message_build.add_track_fields(built, "event", EVENTS[name])
    encode_message = message_encoder()
    line = 0
    got_that_far = True
    while got_that_far:
        line += 1
        monkeypatch.setattr(coerce_module, "_reported", {})
        got_that_far = interrupted(lambda: encode_message(built), line, exceptions, by="line")
    assert line > 10


@pytest.mark.parametrize("timestamp", ["2014-09-03T24:00:00Z", "Sep 3 2014", 5, None])
def test_it_passes_through_the_mapper(timestamp: object) -> None:
    message = {"type": "track", "event": "e", "timestamp": timestamp, "context": {"source": "s"}}
    place = 0
    while True:
        place += 1
        outcome = strike(lambda: map_message(message), place, SoftTimeLimit)
        if outcome is False:
            break
        assert type(outcome) is SoftTimeLimit, f"place {place}"
    assert place > 10


def test_a_real_alarm_is_not_taken_for_a_value_that_cannot_be_written() -> None:
    """It strikes in the middle of a conversion, here for certain: a value waits for it."""

    class Slow:
        def __str__(self) -> str:
            while not struck:
                pass
            return "slow"

    struck: list[int] = []

    def on_alarm(number: int, frame: FrameType | None) -> None:
        struck.append(number)
        raise TimeoutError("a time limit")

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(TimeoutError, match="a time limit"):
            coerce({"slow": Slow()}, 1_000)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("exception", [ValueError, OSError, TimeoutError, SoftTimeLimit])
def test_what_a_value_raises_itself_costs_only_the_value(exception: type[Exception]) -> None:
    class Value:
        def __str__(self) -> str:
            raise exception

        def __iter__(self) -> Iterator[int]:
            raise exception

    assert coerce({"a": Value(), "b": 1}, 1_000) == {"a": None, "b": 1}


def caught(call: Callable[..., object], *arguments: object) -> Exception:
    try:
        call(*arguments)
    except Exception as error:  # noqa: BLE001  that is what is looked at
        return error
    raise AssertionError


def fail() -> None:
    raise TimeoutError


def as_method(frame: FrameType) -> None:
    fail()


def with_any_arguments(*_: object) -> None:
    fail()


@pytest.mark.parametrize("handler", [as_method, with_any_arguments, lambda _number, _frame: fail()])
def test_a_handler_is_known_by_the_frame_that_it_is_given(handler: Callable[..., None]) -> None:
    def interrupt() -> None:
        arguments = (14, sys._getframe()) if handler is not as_method else (sys._getframe(),)  # noqa: SLF001
        handler(*arguments)

    assert is_interruption(caught(interrupt))
    assert not is_interruption(caught(fail))
    assert not is_interruption(caught(with_any_arguments, 1, 2))


def test_a_value_that_recurses_without_end_costs_only_itself() -> None:
    class Endless:
        def __str__(self) -> str:
            return str(self)

    assert coerce({"a": Endless(), "b": 1}, 1_000) == {"a": None, "b": 1}


@pytest.mark.usefixtures("uncollected")
def test_near_the_end_of_the_stack_a_message_has_all_its_values_or_is_rejected() -> None:
    encode_message = message_encoder()
    properties = {"account": Account(), "in": {"in": {"amount": Decimal("1.5")}}}
    built = message_build.build("track", "user", None, None, None, None, "id")
    message_build.add_track_fields(built, "event", properties)
    outcomes = set()

    def dive(levels: int) -> None:
        if levels:
            dive(levels - 1)
            return
        try:
            outcomes.add(str(encode_message(built)[1]["properties"]))
        except MessageTooLargeError as error:
            outcomes.add(str(error))

    for levels in range(sys.getrecursionlimit()):
        try:
            dive(levels)
        except RecursionError:
            outcomes.add("the stack")
    assert outcomes == {
        "{'account': 'an account', 'in': {'in': {'amount': 1.5}}}",
        "message: no memory or stack left to encode it",
        "the stack",
    }


@pytest.mark.parametrize("base", [OSError, RuntimeError, ArithmeticError])
def test_a_time_limit_that_looks_like_an_error_of_the_call_reaches_the_caller(
    base: type[Exception], make_client: MakeClient
) -> None:
    """As some catch that very type: for a naive time, a number and a wake-up."""
    exception = type("Limit", (base,), {})
    client = make_client(upload_interval=60, upload_size=1, max_queue_size=0)
    now = datetime.now()  # noqa: DTZ005  a naive one is looked at as local time
    place = 0
    while outcome := strike(lambda: client.gauge("g", 1, timestamp=now), place + 1, exception):
        place += 1
        assert type(outcome) is exception, f"place {place}"
    assert place > 15


def test_a_time_limit_reaches_who_wakes_a_waiter() -> None:
    exception = type("Limit", (RuntimeError,), {})
    place = 0
    while True:
        outcome = strike(Waiter().wake, place + 1, exception)
        if outcome is False:
            break
        place += 1
        assert type(outcome) is exception, f"place {place}"
    assert place > 0
