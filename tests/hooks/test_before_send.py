"""`before_send`: it changes and drops messages, and what it does wrong costs only a message."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from support.background import Background
from support.interruptions import OF_ALL_TYPES, OURS, interrupted, within
from support.signal_handlers import call_with_handler

import segment_librato as analytics
from segment_librato import (
    Client,
    HookError,
    LibratoConfig,
    MessageTooLargeError,
    SegmentError,
    Stats,
)
from segment_librato.foreign.interruption import being_handled

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.errors import Errors

    from segment_librato.devserver import LocalSegment

    MakeClient = Callable[..., Client]
    Message = dict[str, Any]

CALLS: dict[str, Callable[[Client], tuple[bool, Message]]] = {
    "track": lambda client: client.track("u", "event", {"n": 1}),
    "identify": lambda client: client.identify("u", {"n": 1}),
    "group": lambda client: client.group("u", 7, {"n": 1}),
    "alias": lambda client: client.alias("old", "u"),
    "page": lambda client: client.page("u", "docs", "python", {"n": 1}),
    "screen": lambda client: client.screen("u", None, "start", {"n": 1}),
}


HERE = within(OURS, __file__)


def same(message: Message) -> Message:
    return message


@pytest.mark.parametrize("sync_mode", [False, True])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_what_it_returns_is_sent(
    server: LocalSegment,
    make_client: MakeClient,
    call: Callable[[Client], tuple[bool, Message]],
    sync_mode: bool,
) -> None:
    threads = []

    def before_send(message: Message) -> Message:
        threads.append(threading.current_thread())
        return {**message, "channel": "server"}

    client = make_client(before_send=before_send, sync_mode=sync_mode)
    accepted, message = call(client)
    assert client.flush(10)
    assert accepted
    assert message["channel"] == "server"
    assert server.messages == [message]
    assert threads == [threading.current_thread()]


def test_it_gets_plain_values_of_its_own(server: LocalSegment, make_client: MakeClient) -> None:
    seen: list[Message] = []

    def before_send(message: Message) -> Message:
        seen.append(json.loads(json.dumps(message)))  # with nothing that JSON does not have
        message["properties"]["card"].clear()
        message["context"]["ip"] = None
        return message

    properties = {"card": {"number": "4111"}, "at": datetime(2026, 1, 2, tzinfo=timezone.utc)}
    context = {"ip": "192.0.2.1"}
    client = make_client(before_send=before_send)
    accepted, message = client.track("u", "event", properties, context)
    assert client.flush(10)
    assert accepted
    assert seen[0]["properties"] == {"card": {"number": "4111"}, "at": "2026-01-02T00:00:00+00:00"}
    assert (properties["card"], context["ip"]) == ({"number": "4111"}, "192.0.2.1")
    assert server.messages == [message]
    assert (message["properties"]["card"], message["context"]["ip"]) == ({}, None)


def test_what_it_keeps_it_may_change_later(server: LocalSegment, make_client: MakeClient) -> None:
    kept: list[Message] = []

    def before_send(message: Message) -> Message:
        kept.append(message)
        return message

    client = make_client(before_send=before_send, upload_interval=60)
    client.track("u", "event", {"n": 1})
    kept[0]["properties"]["n"] = 2
    assert client.flush(10)
    assert server.messages[0]["properties"] == {"n": 1}


def test_none_drops_a_message(
    server: LocalSegment, make_client: MakeClient, errors: Errors
) -> None:
    client = make_client(before_send=lambda message: None)
    accepted, message = client.track("u", "event", {"n": 1})
    assert client.flush(10)
    assert (accepted, message["properties"]) == (True, {"n": 1})
    assert (server.messages, errors.calls) == ([], [])
    assert client.stats == Stats(dropped=1)


def test_a_large_message_may_become_a_small_one(
    server: LocalSegment, make_client: MakeClient
) -> None:
    def before_send(message: Message) -> Message:
        message["properties"]["picture"] = len(message["properties"]["picture"])
        return message

    client = make_client(before_send=before_send)
    generated = ("x" for _ in range(100_000))  # it can be read once only
    for picture in ("x" * 1_000_000, ["x"] * 100_000, generated):
        assert client.track("u", "event", {"picture": picture})[0]
    assert client.flush(10)
    sizes = [message["properties"]["picture"] for message in server.messages]
    assert sizes == [1_000_000, 100_000, 100_000]


@pytest.mark.parametrize("size", [33_000, 1_100_000])
def test_a_large_message_that_stays_so_raises(make_client: MakeClient, size: int) -> None:
    seen: list[Message] = []

    def before_send(message: Message) -> Message:
        seen.append(message)
        return message

    client = make_client(before_send=before_send)
    with pytest.raises(MessageTooLargeError, match=r"at most 32768 .* part is properties\.text"):
        client.track("u", "event", {"text": "x" * size})
    assert len(seen) == (size < 1_000_000)
    assert client.stats == Stats()


# What it does wrong


def raise_one(message: Message) -> Message:
    raise ValueError(message["properties"])


def without(name: str) -> Callable[[Message], Message]:
    return lambda message: {key: value for key, value in message.items() if key != name}


def with_field(name: str, value: object) -> Callable[[Message], Message]:
    return lambda message: {**message, name: value}


WRONG: list[tuple[str, Callable[[Message], Any], str]] = [
    ("track", lambda message: "track", "before_send: expected a dict or None, got str"),
    ("track", lambda message: [message], "before_send: expected a dict or None, got list"),
    (
        "track",
        with_field("type", "identify"),
        "before_send: type: expected track, which it must stay",
    ),
    ("page", without("type"), "before_send: type: expected page, which it must stay"),
    ("track", without("messageId"), "before_send: messageId: expected a str, got NoneType"),
    ("track", with_field("messageId", ""), "before_send: messageId: expected a str, got an empty"),
    ("track", with_field("messageId", "x" * 100), "before_send: messageId: expected at most 99"),
    ("track", with_field("timestamp", 1), "before_send: timestamp: expected a str, got int"),
    ("track", with_field("event", None), "before_send: event: expected a str, got NoneType"),
    ("track", with_field("event", "x" * 256), "before_send: event: expected at most 255 char"),
    ("track", with_field("userId", 7), "before_send: userId: expected a str or None, got int"),
    ("identify", with_field("userId", ""), "before_send: userId or anonymousId: expected a non-"),
    ("alias", without("previousId"), "before_send: previousId: expected an id, got NoneType"),
    ("group", with_field("groupId", None), "before_send: groupId: expected an id, got NoneType"),
    ("track", without("context"), "before_send: context: expected a dict, got NoneType"),
    ("alias", with_field("integrations", []), "before_send: integrations: expected a dict, got l"),
    ("group", with_field("traits", None), "before_send: traits: expected a dict, got NoneType"),
    ("screen", without("properties"), "before_send: properties: expected a dict, got NoneType"),
]


@pytest.mark.parametrize("call, before_send, text", WRONG, ids=[one[2] for one in WRONG])
def test_what_cannot_be_sent_is_told_of(
    server: LocalSegment,
    make_client: MakeClient,
    errors: Errors,
    call: str,
    before_send: Callable[[Message], Any],
    text: str,
) -> None:
    client = make_client(before_send=before_send)
    accepted, message = CALLS[call](client)
    assert client.flush(10)
    assert not accepted
    assert server.messages == []
    ((error, messages),) = errors.calls
    assert type(error) is HookError
    assert str(error).startswith(text)
    assert messages == [message]  # as it was
    assert message["type"] == call
    assert client.stats == Stats(rejected=1)


def test_what_it_makes_too_large_is_told_of(
    server: LocalSegment, make_client: MakeClient, errors: Errors
) -> None:
    client = make_client(before_send=lambda m: {**m, "properties": {"text": "x" * 33_000}})
    accepted, message = client.track("u", "event", {"n": 1})
    assert not accepted
    assert str(errors.calls[0][0]).startswith("before_send: message: expected at most 32768 bytes")
    assert str(errors.calls[0][0]).endswith("; the largest part is properties.text")
    assert errors.calls[0][1] == [message]
    assert message["properties"] == {"n": 1}


@pytest.mark.parametrize("sync_mode", [False, True])
def test_an_error_of_its_own_costs_the_message_and_nothing_else(
    server: LocalSegment,
    make_client: MakeClient,
    errors: Errors,
    caplog: pytest.LogCaptureFixture,
    sync_mode: bool,
) -> None:
    def before_send(message: Message) -> Message:
        card = message["properties"].pop("card", None)
        if card:
            raise ValueError(card)
        return message

    client = make_client(before_send=before_send, sync_mode=sync_mode)
    results = [
        client.track("u", "event", {"card": "4111"}),
        client.track("u", "event", {"n": 1}),
        client.track("u", "event", {"card": "4222"}),
    ]
    assert client.flush(10)
    assert [accepted for accepted, _ in results] == [False, True, False]
    assert server.messages == [results[1][1]]
    assert errors.types == [HookError, HookError]
    assert [messages[0]["properties"] for _, messages in errors.calls] == [
        {"card": "4111"},
        {"card": "4222"},
    ]
    stats = client.stats
    assert (stats.accepted, stats.delivered, stats.rejected, stats.dropped) == (1, 1, 2, 0)
    lines = [line for line in caplog.messages if "rejected" in line]
    assert len(lines) == 1  # once for each place
    assert lines[0].startswith("messages are rejected: before_send raised ValueError at ")
    assert f"{__file__}:" in lines[0]
    assert "4111" not in caplog.text


def test_the_log_knows_so_many_texts_and_no_more(
    make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    kinds = iter(range(200))

    def before_send(message: Message) -> Message:
        raise type(f"Error{next(kinds)}", (Exception,), {})

    client = make_client(before_send=before_send)
    for _ in range(200):
        assert not client.track("u", "event")[0]
    assert len(caplog.messages) == 100


def test_an_error_tracker_finds_nothing_of_a_message(make_client: MakeClient) -> None:
    behind: list[object] = []

    def on_error(error: SegmentError, messages: list[Message]) -> None:
        behind.extend((error.__traceback__, error.__cause__, error.__context__, being_handled()))

    assert not make_client(before_send=raise_one, on_error=on_error).track("u", "event")[0]
    assert behind == [None] * 4


def test_the_debug_log_has_what_is_sent(
    make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    def before_send(message: Message) -> Message:
        message["properties"].pop("card")
        return message

    caplog.set_level(logging.DEBUG, logger="segment")  # which it restores
    make_client(before_send=before_send, debug=True).track("u", "event", {"card": "4111", "n": 7})
    (line,) = [line for line in caplog.messages if line.startswith("queueing: ")]
    assert "'n': 7" in line
    assert "4111" not in caplog.text


# Beside the rest


def test_a_gauge_is_measured_as_it_is_sent(server: LocalSegment, make_client: MakeClient) -> None:
    def before_send(message: Message) -> Message | None:
        if message["event"] == "secret":
            return None
        message["properties"]["value"] *= 2
        return message

    account = LibratoConfig("ada@example.com", "token", host=server.host)
    client = make_client(before_send=before_send, gauges=account)
    assert client.gauge("depth", 21)[0]
    assert client.gauge("secret", 1)[0]
    assert client.flush(10)
    assert [(one.name, one.sum) for one in server.librato.samples] == [("depth", 42)]
    assert [one["properties"]["value"] for one in server.messages] == [42]
    assert client.stats.dropped == 1
    assert client.stats.gauges
    assert client.stats.gauges.accepted == 1


def test_it_is_a_setting_of_the_module(
    server: LocalSegment, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"write_key": "test-key", "host": server.host, "default_client": None}
    for name, value in {**settings, "before_send": same}.items():
        monkeypatch.setattr(analytics, name, value)
    assert analytics.track("u", "kept")[0]
    analytics.before_send = lambda message: None
    assert analytics.track("u", "dropped")[0]
    assert analytics.flush(10)
    assert [message["event"] for message in server.messages] == ["kept"]
    assert analytics.stats.dropped == 1
    analytics.shutdown()


def test_it_sees_what_it_tracks_itself(server: LocalSegment, make_client: MakeClient) -> None:
    client: Client

    def before_send(message: Message) -> Message:
        if message["event"] != "Seen":
            client.track("u", "Seen", {"event": message["event"]})
        return message

    client = make_client(before_send=before_send)
    assert client.track("u", "event")[0]
    assert client.flush(10)
    assert [message["event"] for message in server.messages] == ["Seen", "event"]


def test_one_that_always_tracks_is_stopped(
    server: LocalSegment, make_client: MakeClient, errors: Errors
) -> None:
    """Others, in other threads and tasks, go on meanwhile."""
    client: Client
    together = threading.Barrier(5)

    def before_send(message: Message) -> Message:
        if message["event"] == "together":
            together.wait(10)
        else:
            client.track("u", "nested")
        return message

    client = make_client(before_send=before_send)
    assert client.track("u", "event")[0]
    assert client.stats.accepted == 3
    (error,) = [error for error, _ in errors.calls]
    assert str(error) == (
        "before_send: it tracks whatever message it is given, and so calls itself"
    )
    calls = [Background(partial(client.track, "u", "together")) for _ in range(5)]
    assert [call.wait()[0] for call in calls] == [True] * 5  # type: ignore[index]

    async def in_tasks() -> list[bool]:
        async def one() -> bool:
            return client.track("u", "event")[0]

        return [*await asyncio.gather(one(), one())]

    assert asyncio.run(in_tasks()) == [True, True]
    assert client.flush(10)


def test_a_signal_handler_may_track_in_the_middle(
    server: LocalSegment, make_client: MakeClient, errors: Errors
) -> None:
    """What it tracks passes the hook, too, wherever it strikes."""
    client = make_client(before_send=with_field("channel", "server"), upload_interval=60)
    call = partial(client.track, "u", "event")
    number = 1
    while call_with_handler(call, number, partial(client.track, "u", "handler"), step="line"):
        number += 1
    assert client.flush(10)
    assert len(server.messages) == 2 * number - 1
    assert {message.get("channel") for message in server.messages} == {"server"}
    assert errors.calls == []


@pytest.mark.parametrize("exceptions", [(KeyboardInterrupt,), OF_ALL_TYPES], ids=["Ctrl-C", "all"])
def test_an_interruption_anywhere_reaches_the_caller(
    server: LocalSegment,
    make_client: MakeClient,
    errors: Errors,
    exceptions: tuple[type[BaseException], ...],
) -> None:
    """Also one in the hook; and afterwards, as many hooks may be nested as before."""
    client = make_client(
        before_send=same,
        default_context=lambda: {"ip": None},
        sample_rate={"event": 1},
        trace_context=True,
        upload_interval=60,
    )
    place = 1
    while interrupted(partial(client.track, "u", "event"), place, exceptions, HERE):
        assert client.track("u", "event")[0], f"place {place}"
        place += 1
    assert client.flush(10)
    stats = client.stats
    assert place > 50
    assert stats.accepted == stats.delivered == len(server.messages) >= place
    assert (stats.rejected, stats.dropped, errors.calls) == (0, 0, [])


def test_a_system_exit_of_its_own_ends_the_call(make_client: MakeClient, errors: Errors) -> None:
    def before_send(message: Message) -> Message:
        raise SystemExit(3)

    client = make_client(before_send=before_send)
    with pytest.raises(SystemExit):
        client.track("u", "event")
    assert (client.stats, errors.calls) == (Stats(), [])


def test_what_cannot_be_sent_and_is_too_large_to_be_told_of_raises(
    make_client: MakeClient, errors: Errors
) -> None:
    def default_context() -> Message:
        raise ValueError

    client = make_client(default_context=default_context)
    with pytest.raises(MessageTooLargeError, match=r"largest part is properties\.text$"):
        client.track("u", "event", {"text": "x" * 1_100_000})
    assert errors.calls == []
