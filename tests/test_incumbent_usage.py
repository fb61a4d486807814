"""An application that was written for segment-analytics-python, and its own tests.

What such applications rely on beside the calls: the log of `debug`, settings from the environment,
the arguments of errors, and names from the incumbent's modules.
"""

from __future__ import annotations

import ast
import importlib
import logging
import sys
import unittest
from datetime import datetime, timezone
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import segment_librato as analytics
from segment_librato import APIError, Client, LibratoConfig
from segment_librato.config.client import Config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segment_librato.devserver import LocalSegment

    MakeClient = Callable[..., Client]

WRITE_KEY = "Wr1te'Key"
LARGE = "x" * 40_000
QUEUEING = "DEBUG:segment:queueing: "


@pytest.fixture(autouse=True)
def _logger() -> Iterator[None]:
    """Take back what `debug` does to the logger."""
    logger = logging.getLogger("segment")
    level, handlers = logger.level, [*logger.handlers]
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The application's module, which imports this library by the incumbent's name."""
    for name in (*Config.names(), "default_client"):
        monkeypatch.setattr(analytics, name, getattr(analytics, name))
    for name in ("consumer", "request", "utils", "version"):
        monkeypatch.setattr(analytics, name, None, raising=False)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    analytics.default_client = None
    analytics.install_as_segment_analytics()
    yield importlib.import_module("support.telemetry_application")
    if analytics.default_client:
        analytics.shutdown(1)
    for name in [*sys.modules]:
        if name.partition(".")[0] == "segment" or name == "support.telemetry_application":
            del sys.modules[name]


def configure(application: Any, server: LocalSegment, **settings: Any) -> None:
    """Configure it as its settings would, which come from the environment."""
    defaults = {
        "DEBUG": "1",
        "SEGMENT_WRITE_KEY": WRITE_KEY,
        "SEGMENT_HOST": server.host,
        "SEGMENT_ENABLED": "true",
    }
    application.configure(SimpleNamespace(**{**defaults, **settings}))


class Logs(unittest.TestCase):
    """The application's tests read the log as those of Django do."""

    def capture(self) -> Any:
        return self.assertLogs(logger="root", level="DEBUG")


def queued(logs: Any) -> list[dict[str, Any]]:
    """Return the events that were queued, from the lines of the log."""
    return [
        ast.literal_eval(line.removeprefix(QUEUEING))
        for line in logs.output
        if line.startswith(QUEUEING)
    ]


@pytest.mark.parametrize("enabled", ["true", "", None, False])
def test_its_tests_find_each_event_in_the_debug_log(
    enabled: object, application: Any, server: LocalSegment
) -> None:
    configure(application, server, SEGMENT_ENABLED=enabled)
    when = datetime(2024, 2, 29, tzinfo=timezone.utc)
    properties = {"model": None, "ok": True, "rate": Decimal("0.5"), "when": when, "tags": ("a",)}
    with Logs().capture() as logs:
        application.send_event("Completed", properties, "user-1")
    (event,) = queued(logs)
    assert (event["event"], event["userId"], event["type"]) == ("Completed", "user-1", "track")
    assert event["timestamp"]
    assert event["properties"] == {
        "model": None,
        "ok": True,
        "rate": 0.5,
        "tags": ["a"],
        "when": "2024-02-29T00:00:00+00:00",
    }
    assert analytics.flush(30)
    assert server.messages == ([event] if enabled else [])


def test_an_event_that_is_too_large_is_told_by_another_one(
    application: Any, server: LocalSegment
) -> None:
    configure(application, server)
    assert application.is_too_large({"log": LARGE})
    assert not application.is_too_large({"log": "short", "when": datetime.now(timezone.utc)})
    with Logs().capture() as logs:
        application.send_event("Completed", {"log": LARGE, "id": 5}, "user-1")
    last = queued(logs)[-1]
    assert last["event"] == "Telemetry Failed"
    assert last["properties"]["size"] > 40_000
    assert f"over 32 KB: {last['properties']['size']}" in "\n".join(logs.output)
    assert LARGE not in "\n".join(logs.output)
    assert "the largest part is properties.log" in "\n".join(logs.output)
    assert analytics.flush(30)
    assert server.messages == [last]


def test_the_write_key_is_masked_in_the_debug_log(application: Any, server: LocalSegment) -> None:
    configure(application, server)
    with Logs().capture() as logs:
        application.send_event("Completed", {"url": f"/?key={WRITE_KEY}&a=1"}, "user-1")
        assert analytics.flush(30)
    (event,) = queued(logs)
    assert event["properties"] == {"url": "/?key=***&a=1"}
    assert "Wr1te" not in "\n".join(logs.output)
    assert server.messages[0]["properties"] == {"url": f"/?key={WRITE_KEY}&a=1"}


def logged(client: Client, properties: dict[str, Any], logs: pytest.LogCaptureFixture) -> Any:
    """Return what the debug log holds of the properties of a message."""
    client.track("user-1", "event", properties)
    (line,) = (line for line in logs.messages if line.startswith("queueing: "))
    client.shutdown(1)
    return ast.literal_eval(line.removeprefix("queueing: "))["properties"]


@pytest.mark.parametrize("key", ["t", "key", "testing"])
def test_a_key_too_short_to_be_one_is_masked_only_where_it_is_all_of_a_text(
    key: str, server: LocalSegment, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(key, server.host, debug=True)
    properties = {"text": f"testing the {key}, its {key}s", "value": key, "list": [key]}
    masked = {**properties, "value": "***", "list": ["***"]}
    assert logged(client, properties, caplog) == masked


@pytest.mark.parametrize("key", ["8 letter", "x" * 32, "Wr1te\\Key", "Wr1te'Key"])
def test_any_other_is_masked_wherever_it_stands(
    key: str, server: LocalSegment, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(key, server.host, debug=True)
    properties = {"text": f"a{key}b", f"{key}s": key}
    assert logged(client, properties, caplog) == {"text": "a***b", "***s": "***"}
    assert key not in caplog.text


@pytest.mark.parametrize("key", [None, "", b"bytes", 5])
def test_a_dry_run_with_debug_needs_no_key(
    key: Any, server: LocalSegment, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(key, server.host, debug=True, send=False)
    assert client.track("user-1", "event")[0]
    assert [line.partition(":")[0] for line in caplog.messages] == ["queueing"]


def test_without_debug_no_payload_is_logged_at_any_level(
    application: Any, server: LocalSegment, caplog: pytest.LogCaptureFixture
) -> None:
    configure(application, server, DEBUG="")
    caplog.set_level(logging.DEBUG, "segment")
    application.send_event("Completed", {"secret": "payl0ad"}, "user-1")
    assert analytics.flush(30)
    assert [record for record in caplog.records if record.name == "segment"]
    assert "payl0ad" not in caplog.text


def test_its_on_error_reads_status_code_and_message(application: Any, server: LocalSegment) -> None:
    configure(application, server)
    server.respond(400, body=b'{"code": "bad", "message": "not you"}')
    application.failures.clear()
    application.send_event("Completed", {}, "user-1")
    assert analytics.flush(30)
    assert application.failures == [(400, "bad", "not you", 1)]


def test_in_sync_mode_a_call_raises_as_its_scripts_expect(server: LocalSegment) -> None:
    client = Client(WRITE_KEY, server.host, sync_mode=True, max_retries=0)
    server.respond(500)
    with pytest.raises(APIError):
        client.identify("user-1", {"plan": "pro"})
    assert client.identify("user-1", {"plan": "pro"})[0]
    client.shutdown()


def test_its_health_check_looks_at_queue_and_consumers(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(max_queue_size=2, upload_interval=60)
    assert client.queue.maxsize == 2
    with server.hold():
        client.track("user-1", "in flight")
        client.queue.begin_flush()
        assert server.wait_until(lambda: server.held == 1)
        client.track("user-1", "waits")
        assert not client.queue.full()
        client.track("user-1", "waits")
        assert client.queue.full()
        assert (client.queue.qsize(), client.queue.empty()) == (2, False)
        assert repr(client).endswith("messages pending: 3>")
    assert [consumer.is_alive() for consumer in client.consumers] == [True]
    assert make_client(sync_mode=True).consumers is None
    unlimited = make_client(max_queue_size=0)
    assert (unlimited.queue.maxsize, unlimited.queue.full()) == (0, False)


def test_a_message_and_its_measurement_are_one_line_of_the_debug_log(
    server: LocalSegment, caplog: pytest.LogCaptureFixture, make_client: MakeClient
) -> None:
    account = LibratoConfig("ada@example.com", "token", host=server.host)
    client = make_client(gauges=account, debug=True)
    client.track("user", "event", {"value": 3})
    assert len([line for line in caplog.messages if line.startswith("queueing: ")]) == 1


@pytest.mark.parametrize("name", ["upload_size", "write_key", "max_retries", "debug", "gauges"])
def test_an_option_of_a_client_cannot_be_assigned(name: str, make_client: MakeClient) -> None:
    client = make_client()
    with pytest.raises(AttributeError, match=f"^{name} is fixed once the client is made"):
        setattr(client, name, 5)
