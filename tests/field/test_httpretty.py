"""HTTPretty, whose sockets stand in for real ones: requests are captured and answered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpretty
import pytest

from segment_librato import Client, LibratoConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "http://events.invalid"


@pytest.fixture(autouse=True)
def pretty() -> Iterator[None]:
    with httpretty.enabled():  # urllib3 2 fails with `allow_net_connect=False`, whoever uses it
        yield


def make(errors: Any = None, **options: Any) -> Client:
    return Client("key", **{"host": HOST, "max_retries": 0, "on_error": errors, **options})


@pytest.mark.parametrize("host", [HOST, "https://events.invalid"])
def test_events_are_captured_with_their_bodies_and_count_as_delivered(
    host: str, errors: Any
) -> None:
    httpretty.register_uri(httpretty.POST, f"{host}/v1/batch", body='{"success": true}')
    client = make(errors, host=host)
    for n in range(3):
        client.track("user", "event", {"n": n})
        assert client.flush(10)
    assert client.shutdown(10)
    assert errors.calls == []
    assert client.stats.delivered == 3
    bodies = [json.loads(request.body) for request in httpretty.latest_requests()]
    sent = {body["batch"][0]["properties"]["n"] for body in bodies}
    assert sent == {0, 1, 2}


def test_the_answer_that_is_registered_is_the_answer(errors: Any) -> None:
    httpretty.register_uri(httpretty.POST, f"{HOST}/v1/batch", body='{"code": "bad"}', status=400)
    client = make(errors)
    client.track("user", "event")
    assert client.shutdown(10)
    assert [error.code for error, _ in errors.calls] == ["bad"]


def test_gauges_are_captured_as_well(errors: Any) -> None:
    for path in ("/v1/batch", "/v1/metrics"):
        httpretty.register_uri(httpretty.POST, HOST + path, body="{}")
    account = LibratoConfig("ada@example.com", "token", host=HOST)
    client = make(errors, gauges=account)
    client.track("user", "event", {"value": 1})
    assert client.shutdown(10)
    assert errors.calls == []
    assert {request.path for request in httpretty.latest_requests()} == {"/v1/batch", "/v1/metrics"}
