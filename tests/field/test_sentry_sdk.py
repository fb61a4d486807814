"""Sentry's SDK, which uploads the local variables of the frames behind an error."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
import sentry_sdk

from segment_librato import Client, LibratoConfig, SegmentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segment_librato.devserver import LocalSegment

WRITE_KEY = "Wr1te-Key-That-Nobody-May-See"
TOKEN = "t0ken-that-nobody-may-see"  # noqa: S105  not a real one
CREDENTIALS = [base64.b64encode(f"{one}".encode()).decode() for one in (f"{WRITE_KEY}:", TOKEN)]
PAYLOAD = "payl0ad"


@pytest.fixture
def events() -> Iterator[list[dict[str, Any]]]:
    """Collect what would be uploaded."""
    kept: list[dict[str, Any]] = []

    def keep(event: Any, _: Any) -> None:
        kept.append(json.loads(json.dumps(event, default=repr)))

    sentry_sdk.init("http://key@127.0.0.1:9/1", before_send=keep, include_local_variables=True)
    yield kept
    sentry_sdk.init()


def uploaded(event: dict[str, Any]) -> str:
    """Return an event without the lines of source, which are those of this file."""
    for thrown in event.get("exception", {}).get("values", []):
        for frame in thrown.get("stacktrace", {}).get("frames", []):
            for name in ("pre_context", "context_line", "post_context"):
                frame.pop(name, None)
            if frame["module"] == __name__:
                frame.pop("vars", None)
    return json.dumps(event)


@pytest.mark.parametrize("sync_mode", [False, True])
def test_an_on_error_may_capture_the_error(
    server: LocalSegment, events: list[dict[str, Any]], sync_mode: bool
) -> None:
    def on_error(error: SegmentError, messages: list[dict[str, Any]]) -> None:
        sentry_sdk.capture_exception(error)

    server.respond(404)
    client = Client(WRITE_KEY, server.host, on_error=on_error, sync_mode=sync_mode)
    client.track("user", PAYLOAD)
    client.shutdown()
    captured = [event for event in events if "exception" in event]
    assert [event["exception"]["values"][-1]["type"] for event in captured] == ["APIError"]
    for event in events:  # that of the log among them
        for secret in (WRITE_KEY, *CREDENTIALS, PAYLOAD):
            assert secret not in uploaded(event)


def test_what_calls_raise_has_no_secrets_in_its_frames(
    server: LocalSegment, events: list[dict[str, Any]]
) -> None:
    server.respond(404, times=3)  # the gauge is a request of its own
    account = LibratoConfig("ada@example.com", TOKEN, host=server.host)
    client = Client(WRITE_KEY, server.host, sync_mode=True, gauges=account)
    for call in (
        lambda: client.track("user", "event"),
        lambda: client.configure_gauge("event"),
        lambda: Client(WRITE_KEY, timeout=-1),
        lambda: LibratoConfig("ada@example.com", TOKEN, period=-1),
    ):
        try:
            call()
        except SegmentError:
            sentry_sdk.capture_exception()
    client.shutdown()
    captured = [event for event in events if "exception" in event]
    assert len(captured) == 4
    for event in events:
        for secret in (WRITE_KEY, TOKEN, *CREDENTIALS):
            assert secret not in uploaded(event)
