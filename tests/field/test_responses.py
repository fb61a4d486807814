"""responses: each call has the body that was sent, and none leaves the machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import responses

from segment_librato import Client, LibratoConfig, OpenTelemetryConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "https://events.invalid"
BATCH = f"{HOST}/v1/batch"


@pytest.fixture
def mocked() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mocked:
        yield mocked


def make(errors: Any = None, **options: Any) -> Client:
    return Client("key", **{"host": HOST, "max_retries": 0, "on_error": errors, **options})


@pytest.mark.parametrize("sync_mode", [False, True])
def test_each_call_has_the_body_that_was_sent(
    mocked: responses.RequestsMock, *, sync_mode: bool
) -> None:
    mocked.post(BATCH, json={"success": True})
    client = make(sync_mode=sync_mode)
    for n in range(3):
        assert client.track("user", "event", {"n": n})[0]
        assert client.flush(10)
    assert client.shutdown(10)
    assert client.stats.delivered == 3
    sent: list[Any] = [call.request.body for call in mocked.calls]
    bodies = [json.loads(body) for body in sent]
    assert [body["batch"][0]["properties"] for body in bodies] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert len({id(call.request) for call in mocked.calls}) == 3
    assert mocked.calls[0].request.headers["content-type"] == "application/json"


def test_a_matcher_sees_the_body(mocked: responses.RequestsMock, errors: Any) -> None:
    match = responses.matchers.header_matcher({"Content-Type": "application/json"})
    mocked.post(BATCH, status=400, json={"code": "bad"}, match=[match])
    client = make(errors)
    client.track("user", "event")
    assert client.shutdown(10)
    assert [error.code for error, _ in errors.calls] == ["bad"]


def test_what_is_not_mocked_never_leaves_the_machine(
    mocked: responses.RequestsMock, errors: Any
) -> None:
    client = make(errors)
    client.track("user", "event")
    assert client.shutdown(10)
    assert client.stats.failed == 1
    assert len(mocked.calls) == 1


def test_a_callback_answers(mocked: responses.RequestsMock) -> None:
    seen: list[Any] = []

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        seen.append(json.loads(request.body)["batch"][0]["event"])
        return 200, {"Set-Cookie": "a=b"}, "{}"

    mocked.add_callback(responses.POST, BATCH, callback=answer)
    client = make()
    client.track("user", "event")
    assert client.shutdown(10)
    assert client.stats.delivered == 1
    assert seen == ["event"]


@pytest.mark.parametrize(
    "account",
    [LibratoConfig("ada@example.com", "token", host=HOST), OpenTelemetryConfig(HOST)],
    ids=["librato", "otlp"],
)
def test_gauges_are_captured_as_well(mocked: responses.RequestsMock, account: Any) -> None:
    mocked.post(BATCH, json={})
    mocked.post(f"{HOST}/v1/metrics", body=b"")
    client = make(gauges=account)
    client.track("user", "event", {"value": 1})
    assert client.shutdown(10)
    assert sorted(call.request.url or "" for call in mocked.calls) == [BATCH, f"{HOST}/v1/metrics"]
