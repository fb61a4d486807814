"""`sync_mode`: what a call returns or raises, and how long it takes."""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from support.hasty_clock import hasty_client
from support.raw_server import RawServer
from support.real_time import in_real_time

from segment_librato import (
    APIError,
    Client,
    ClientClosedError,
    LibratoConfig,
    NetworkError,
    SegmentError,
    ShutdownTimeoutError,
)

if TYPE_CHECKING:
    from support.errors import Errors

    from segment_librato.devserver import LocalSegment

PAYLOAD = "payl0ad"


def sync_client(server: LocalSegment | RawServer, **options: Any) -> Any:
    return hasty_client("test-key", host=server.host, sync_mode=True, **options)


def test_without_on_error_a_call_raises_what_kept_it_from_delivery(
    server: LocalSegment, caplog: pytest.LogCaptureFixture
) -> None:
    client, _ = sync_client(server)
    server.respond(403, body=b'{"code": "no", "message": "not you"}')
    with pytest.raises(APIError) as caught:
        client.track("user", PAYLOAD)
    assert (caught.value.status, caught.value.code) == (403, "no")
    assert caught.value.__context__ is None
    reason = f"127.0.0.1:{server.port} answered 403"
    assert caplog.messages == [f"messages not delivered: 1; {reason}"]
    assert client.track("user", "event")[0]
    assert (client.stats.failed, client.stats.delivered) == (1, 1)
    client.shutdown()


def test_with_on_error_it_is_told_and_the_call_returns_false(
    server: LocalSegment, errors: Errors
) -> None:
    client, _ = sync_client(server, on_error=errors)
    server.respond(403)
    accepted, message = client.track("user", "event")
    assert not accepted
    assert errors.types == [APIError]
    assert errors.message_ids == [message["messageId"]]
    client.shutdown()


def test_after_a_shutdown_a_call_raises_as_well(server: LocalSegment) -> None:
    client, _ = sync_client(server)
    client.shutdown()
    with pytest.raises(ClientClosedError):
        client.track("user", "event")
    assert client.stats.rejected == 1


def test_a_measurement_that_is_not_delivered_does_not_keep_the_message(
    server: LocalSegment,
) -> None:
    account = LibratoConfig("ada@example.com", "token", host=server.host)
    client, _ = sync_client(server, gauges=account)
    server.respond(403, when=lambda request: request.path != "/v1/batch")
    with pytest.raises(APIError):
        client.track("user", "event", {"value": 1})
    assert [message["event"] for message in server.messages] == ["event"]
    client.shutdown()


@pytest.mark.parametrize("options", [{}, {"sync_timeout": 40}])
def test_all_retries_of_a_call_end_within_the_timeout(
    options: dict[str, Any], server: LocalSegment
) -> None:
    server.respond(500, times=None)
    client, clock = sync_client(server, **options)
    for _ in range(2):  # each call has a timeout of its own
        before = clock.skipped
        with pytest.raises(APIError) as caught:
            client.track("user", "event")
        assert caught.value.status == 500
        assert 0 < clock.skipped - before <= options.get("sync_timeout", 15)
    assert client.stats.retries < 2 * client.max_retries
    client.shutdown()


def test_a_wait_that_the_server_asks_for_does_not_exceed_it(server: LocalSegment) -> None:
    server.respond(429, headers={"Retry-After": "60"}, times=None)
    client, clock = sync_client(server)
    with pytest.raises(APIError):
        client.track("user", "event")
    assert clock.skipped == 0
    assert len(server.requests) == 1
    client.shutdown()


@in_real_time
def test_a_server_that_hangs_does_not_exceed_it() -> None:
    with RawServer(lambda: [60.0]) as server:
        client = Client("test-key", server.host, sync_mode=True, sync_timeout=0.3)
        began = time.monotonic()
        with pytest.raises(NetworkError):
            client.track("user", "event")
        assert time.monotonic() - began < 2


def test_the_error_shows_no_key(server: LocalSegment) -> None:
    client = Client("s3cr3t", server.host, sync_mode=True)
    server.respond(403)
    with pytest.raises(SegmentError) as caught:
        client.track("user", PAYLOAD)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "s3cr3t" not in "".join(shown.format())
    client.shutdown()


def test_the_exit_is_told_apart(server: LocalSegment, monkeypatch: pytest.MonkeyPatch) -> None:
    from segment_librato.process.exit import exit_state

    monkeypatch.setattr(exit_state, "began", time.monotonic())
    server.respond(500, times=None)
    client, _ = sync_client(server, exit_timeout=0.5)
    with pytest.raises(ShutdownTimeoutError):
        client.track("user", "event")
