"""A capture: whatever an application does with its clients is recorded, and nothing is sent."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY
from uuid import UUID

import pytest
from support.script import run

import segment_librato as analytics
from segment_librato import (
    Client,
    ClientClosedError,
    ConfigError,
    LibratoConfig,
    MessageTooLargeError,
    OpenTelemetryConfig,
    ValidationError,
    drain_spool,
    import_rows,
)
from segment_librato.librato import Measurement
from segment_librato.recording import Recording, recordings
from segment_librato.testing import capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.errors import Errors

    from segment_librato.devserver import LocalSegment

    MakeClient = Callable[..., Client]

NOBODY = "http://127.0.0.1:9"  # where nobody listens
LIBRATO = LibratoConfig("ada@example.com", "token", host=NOBODY)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*of: object) -> None:
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore the settings of the module that the tests here assign."""
    for name in ("write_key", "host", "on_error", "default_client"):
        monkeypatch.setattr(analytics, name, getattr(analytics, name))
    analytics.default_client = None
    yield
    if analytics.default_client:
        analytics.default_client.shutdown(1)


def events(messages: list[dict[str, Any]]) -> list[str]:
    return [message["event"] for message in messages]


# What is recorded


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"send": False},
        {"sync_mode": True},
        {"gauges": LIBRATO},
        {"gauges": LIBRATO, "sync_mode": True},
        {"thread": 3, "upload_size": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("is_made_before", [True, False])
def test_a_client_records_instead_of_sending(
    options: dict[str, Any], *, is_made_before: bool
) -> None:
    threads = threading.enumerate()
    early = Client("test-key", NOBODY, **options)
    with capture() as segment:
        client = early if is_made_before else Client("test-key", NOBODY, **options)
        accepted, message = client.track("user", "event", {"value": 42})
        assert accepted
        assert segment.messages == [message]
        assert segment.measurements == [Measurement("event", 42, *segment.measurements[0][2:])]
        assert client.flush()
        assert client.join()
        assert threading.enumerate() == threads
        assert client.shutdown()
    assert not early.stats.accepted
    assert early.shutdown()


def test_a_message_is_recorded_as_it_is_sent(server: LocalSegment, make_client: MakeClient) -> None:
    account = LibratoConfig("ada@example.com", "token", host=server.host, aggregate=0)
    client = make_client(gauges=account)
    properties = {"value": Decimal("1.5"), "of": (1, b"\xff")}
    now = datetime.now(timezone.utc)

    def track() -> None:
        client.track("user", "event", properties, timestamp=now, message_id="id")

    with capture() as segment:
        track()
    track()
    assert client.flush(10)
    sent = {key: value for key, value in server.messages[0].items() if key != "sentAt"}
    assert segment.messages == [sent]
    assert sent["integrations"] == {"Librato": False}
    sample = server.librato.samples[0]
    assert segment.measurements == [
        Measurement(sample.name, sample.sum, sample.measure_time, sample.source)
    ]


def test_gauges_for_opentelemetry_are_recorded_too() -> None:
    pytest.importorskip("opentelemetry.sdk")
    account = OpenTelemetryConfig(endpoint=NOBODY)
    early = Client(gauges=account)
    with capture() as segment:
        early.gauge("queue.depth", 42, source="web-1")
        Client(gauges=account).gauge("queue.depth", 43, source="web-1")
        assert early.shutdown()
    segment.assert_gauge("queue.depth", 42, source="web-1")
    segment.assert_gauge("queue.depth", 43, source="web-1")


def test_each_call_is_recorded() -> None:
    client = Client("test-key", NOBODY)
    with capture() as segment:
        client.identify("user")
        client.group("user", "group")
        client.alias("anonymous", "user")
        client.page("user", "Docs", "Python")
        client.screen("user", "Settings", "Brightness")
        client.gauge("queue.depth", 42)
    kinds = ["identify", "group", "alias", "page", "screen", "track"]
    assert [message["type"] for message in segment.messages] == kinds
    assert repr(segment) == "<Capture of messages: 6>"


def test_what_is_recorded_is_independent_of_what_the_application_does_later() -> None:
    with capture() as segment:
        _, message = Client("test-key").track("user", "event", {"items": [1]})
        message["properties"]["items"].append(2)
        segment.messages[0]["properties"]["items"].append(3)
    assert segment.messages[0]["properties"] == {"items": [1]}


def test_other_threads_record_too() -> None:
    client = Client("test-key", NOBODY)
    with capture() as segment:
        thread = threading.Thread(target=client.track, args=("user", "event"))
        thread.start()
        thread.join()
    assert events(segment.messages) == ["event"]


def test_tasks_record_and_the_client_finishes_at_once() -> None:
    async def main() -> None:
        async with Client("test-key", NOBODY) as client:
            await asyncio.gather(*(asyncio.to_thread(client.track, "user", "a") for _ in range(3)))
            assert await client.aflush()

    with capture() as segment:
        asyncio.run(main())
    assert events(segment.messages) == ["a"] * 3


def test_the_innermost_capture_records() -> None:
    client = Client("test-key", NOBODY)
    with capture() as outer:
        client.track("user", "before")
        with capture() as inner:
            client.track("user", "in between")
        client.track("user", "after")
    assert events(outer.messages) == ["before", "after"]
    assert events(inner.messages) == ["in between"]


def test_a_client_that_was_shut_down_is_so_in_inner_captures_too() -> None:
    client = Client("test-key", NOBODY)
    with capture():
        with capture() as inner:
            client.shutdown()
        assert client.track("user", "event")[0]
        client.shutdown()
        with capture() as inner:
            assert not client.track("user", "too late")[0]
    assert inner.messages == []


def test_a_call_that_sees_the_last_capture_end_goes_on_as_without(
    server: LocalSegment, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client()
    monkeypatch.setattr("segment_librato.router.last_recording", lambda: None)
    recordings.append(Recording())
    try:
        client.track("user", "event")
    finally:
        recordings.clear()
    assert client.flush(10)
    assert events(server.messages) == ["event"]


def test_clear_forgets() -> None:
    client = Client("test-key", NOBODY)
    with capture() as segment:
        client.gauge("gauge", 1)
        segment.clear()
        client.track("user", "event")
    assert events(segment.messages) == ["event"]
    assert [measurement.name for measurement in segment.measurements] == ["event"]


@pytest.mark.usefixtures("no_network")
def test_a_gauge_is_configured_by_nobody_but_checked() -> None:
    with capture():
        client = Client("test-key", gauges=LIBRATO)
        client.configure_gauge("queue.depth")
        with pytest.raises(ValidationError, match="period"):
            client.configure_gauge("queue.depth", period=1)


def test_nothing_is_written_to_a_spool(tmp_path: Path) -> None:
    early = Client("test-key", NOBODY, spool=tmp_path / "early")
    before = sorted(tmp_path.rglob("*"))
    with capture() as segment:
        for client in early, Client("test-key", NOBODY, spool=tmp_path / "late"):
            client.track("user", "event")
            client.flush()
        early.shutdown()
    assert len(segment.messages) == 2
    assert sorted(tmp_path.rglob("*")) == before
    early.shutdown()


# Checks


def test_the_checks_are_the_same() -> None:
    with capture() as segment:
        client = Client("test-key", NOBODY)
        wrong: Any = 42
        with pytest.raises(ValidationError, match="event"):
            client.track("user", wrong)
        with pytest.raises(MessageTooLargeError):
            client.track("user", "event", {"text": "x" * 40_000})
        with pytest.raises(ConfigError, match="thread"):
            Client("test-key", thread=0)
        with pytest.raises(ConfigError, match="write_key"):
            Client(wrong)
    assert segment.messages == []


@pytest.mark.parametrize("options", [{}, {"sync_mode": True}], ids=str)
@pytest.mark.parametrize("is_made_before", [True, False])
def test_a_client_that_was_shut_down_rejects_messages_until_the_capture_ends(
    server: LocalSegment,
    make_client: MakeClient,
    errors: Errors,
    options: dict[str, Any],
    *,
    is_made_before: bool,
) -> None:
    early = make_client(**options)
    with capture() as segment:
        client = early if is_made_before else make_client(**options)
        assert client.shutdown()
        assert client.track("user", "too late")[0] is False
    assert segment.messages == []
    assert [type(error) for error, _ in errors.calls] == [ClientClosedError]
    assert early.track("user", "event")[0]
    assert early.flush(10)
    assert events(server.messages) == ["event"]


def test_a_client_that_was_shut_down_before_still_rejects_messages() -> None:
    client = Client("test-key", NOBODY)
    client.shutdown()
    with capture() as segment:
        assert client.track("user", "too late")[0] is False
    assert segment.messages == []
    assert client.stats.rejected == 1


def test_in_sync_mode_a_rejection_is_raised() -> None:
    with capture():
        client = Client("test-key", NOBODY, sync_mode=True)
        client.shutdown()
        with pytest.raises(ClientClosedError):
            client.track("user", "too late")


# The calls of the module


@pytest.mark.usefixtures("settings", "no_network")
def test_the_module_records_without_a_write_key() -> None:
    with capture() as segment:
        analytics.track("user", "event")
        analytics.gauge("gauge", 1)
        assert analytics.flush()
        assert analytics.shutdown()
        assert analytics.track("user", "too late")[0] is False
    assert events(segment.messages) == ["event", "gauge"]
    assert analytics.default_client is None
    with pytest.raises(ConfigError, match="write_key"):
        analytics.track("user", "event")


@pytest.mark.usefixtures("settings")
def test_the_module_starts_anew_within_a_capture_as_ever() -> None:
    with capture() as segment:
        analytics.track("user", "event")
        analytics.shutdown()
        analytics.write_key = "other-key"
        assert analytics.track("user", "again")[0]
    assert events(segment.messages) == ["event", "again"]


@pytest.mark.usefixtures("settings")
def test_the_default_client_is_the_same_afterwards(server: LocalSegment) -> None:
    analytics.write_key, analytics.host = "test-key", server.host
    analytics.track("user", "before")
    client = analytics.default_client
    with capture() as segment:
        analytics.track("user", "within")
        assert analytics.default_client is client
        analytics.default_client = Client("other-key")
        analytics.track("user", "by another")
        analytics.shutdown()
    assert events(segment.messages) == ["within", "by another"]
    assert analytics.default_client is client
    analytics.track("user", "after")
    assert analytics.default_client is client
    assert analytics.flush(10)
    assert events(server.messages) == ["before", "after"]


@pytest.mark.usefixtures("settings")
def test_settings_of_a_test_count_afterwards_unless_it_takes_them_back(
    server: LocalSegment, monkeypatch: pytest.MonkeyPatch
) -> None:
    analytics.write_key, analytics.host = "test-key", server.host
    analytics.track("user", "before")
    client = analytics.default_client
    with capture(), monkeypatch.context() as patch:
        patch.setattr(analytics, "host", NOBODY)
        analytics.track("user", "within")
        assert analytics.default_client is not client
    analytics.track("user", "after")
    assert analytics.default_client is client
    with capture():
        analytics.write_key = "other-key"
        analytics.track("user", "within")
    analytics.track("user", "with the other key")
    assert analytics.default_client is not client
    assert analytics.flush(10)
    sent = [
        (one.write_key, message["event"]) for one in server.requests for message in one.messages
    ]
    assert sorted(sent) == [
        ("other-key", "with the other key"),
        ("test-key", "after"),
        ("test-key", "before"),
    ]


# Before and after


def test_what_was_accepted_before_is_delivered_and_not_waited_for(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(upload_interval=60)
    with server.hold():
        client.track("user", "before")
        with capture():
            client.track("user", "within")
            # They would not return, as the server holds its response back.
            assert client.flush()
            assert client.join()
            assert asyncio.run(client.aflush())
            assert client.shutdown()
    assert client.flush(10)
    assert events(server.messages) == ["before"]


def test_a_client_that_is_made_within_sends_nothing_for_good(
    server: LocalSegment, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    with capture():
        client = make_client()
        client.track("user", "within")
    threads = threading.enumerate()
    caplog.clear()
    with caplog.at_level(logging.WARNING, "segment"):
        assert client.track("user", "after")[0]
        assert client.track("user", "after")[0]
    assert caplog.messages == [
        "nothing is sent: this client was made while a test recorded messages"
    ]
    assert client.flush()
    assert client.shutdown()
    assert threading.enumerate() == threads
    assert server.requests == []
    with capture() as segment:
        assert client.track("user", "too late")[0] is False
    assert segment.messages == []


def test_the_end_of_a_process_within_a_capture_sends_nothing(server: LocalSegment) -> None:
    run(
        server,
        """
        from segment_librato.testing import capture
        client = make()
        context = capture()
        context.__enter__()
        client.track("user", "event")
        client.flush()
        """,
    )
    assert server.requests == []


# An assertion that passes


def test_assertions_compare_as_values_are_sent() -> None:
    at = datetime(2026, 11, 28, tzinfo=timezone.utc)
    uuid = UUID(int=1)
    properties = {"at": at, "price": Decimal("0.1"), "id": uuid, "tags": ("a", {"b": uuid})}
    with capture() as segment:
        client = Client("test-key")
        client.track(uuid, "event", properties)
        client.identify(7, {"born": at})
        client.gauge("queue depth", Decimal("0.1"), source="web-1")
    segment.assert_tracked("event", user_id=uuid, times=1, **properties)
    segment.assert_tracked("event", at=at.isoformat(), tags=["a", ANY])
    segment.assert_tracked("event", price=pytest.approx(0.1))
    segment.assert_identified(7, born=at)
    segment.assert_gauge("queue depth", Decimal("0.1"), source="web-1")
    segment.assert_gauge("queue-depth")
    segment.assert_not_tracked("another")
    assert len(segment.tracked()) == 2
    assert len(segment.tracked("event", id=uuid)) == 1
    assert segment.tracked("event", id=UUID(int=2)) == []


def test_numbers_and_truth_values_differ() -> None:
    with capture() as segment:
        Client("test-key").track("user", "event", {"seats": 1, "trial": True, "price": 2.0})
    assert segment.tracked("event", seats=1.0, trial=True, price=2)
    assert not segment.tracked("event", seats=True)
    assert not segment.tracked("event", trial=1)


@pytest.mark.usefixtures("no_network")
def test_what_sends_without_a_client_is_kept_from_production(tmp_path: Path) -> None:
    rows = [{"userId": "user", "event": "event", "timestamp": "2026-11-28T10:00:00Z"}]
    expected = "host: expected a local server, as a test is recording messages; got "
    with capture() as segment:
        with pytest.raises(ConfigError, match=f"^{expected}api.segment.io$"):
            import_rows(rows, "test-key")
        with pytest.raises(ConfigError, match=f"^{expected}events.example.com$"):
            drain_spool(tmp_path, "test-key", host="https://events.example.com/x")
        assert segment.messages == []
    assert drain_spool(tmp_path, "test-key").delivered == 0


def test_what_sends_without_a_client_may_use_a_local_server(server: LocalSegment) -> None:
    rows = [{"userId": "user", "event": "event", "timestamp": "2026-11-28T10:00:00Z"}]
    with capture() as segment:
        assert import_rows(rows, "test-key", host=server.host).delivered == 1
    assert segment.messages == []


def test_hooks_run_and_what_they_make_of_a_message_is_recorded(make_client: MakeClient) -> None:
    def before_send(message: dict[str, Any]) -> dict[str, Any] | None:
        if message["event"] == "secret":
            return None
        return {**message, "properties": {"kept": 1}}

    delivered: list[object] = []
    client = make_client(
        before_send=before_send,
        default_context={"ip": "192.0.2.1"},
        sample_rate={"rare": 0},
        on_delivered=delivered.append,
    )
    with capture() as segment:
        client.track("user", "event", {"card_number": 4111})
        assert client.track("user", "secret")[0]
        assert client.track("user", "rare")[0]
    (message,) = segment.messages
    assert message["properties"] == {"kept": 1}
    assert message["context"]["ip"] == "192.0.2.1"
    assert (client.stats.dropped, client.stats.accepted, delivered) == (2, 0, [])


def test_a_hook_that_fails_in_a_test_is_reported(make_client: MakeClient, errors: Errors) -> None:
    client = make_client(before_send=lambda message: message["event"])
    with capture() as segment:
        assert not client.track("user", "event")[0]
    assert segment.messages == []
    ((error, _),) = errors.calls
    assert str(error) == "before_send: expected a dict or None, got str"


def test_keys_that_are_no_text_are_compared_as_they_are_sent(make_client: MakeClient) -> None:
    prices = {1: Decimal("9.5"), date(2026, 11, 28): {2: ANY}, "b": 1}
    with capture() as segment:
        make_client().track("user", "event", {"prices": {**prices, date(2026, 11, 28): {2: 3}}})
    segment.assert_tracked("event", prices=prices)
    with pytest.raises(AssertionError, match=r'- properties.prices\["1"\]  8\n') as caught:
        segment.assert_tracked("event", prices={**prices, 1: 8})
    assert "2026" not in str(caught.value)
