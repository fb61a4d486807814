"""requests-mock: what an application's test mocks never leaves the machine, and is delivered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests
import requests_mock

from segment_librato import Client, LibratoConfig, OpenTelemetryConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOST = "https://events.invalid"
BATCH = f"{HOST}/v1/batch"


@pytest.fixture
def mocker() -> Iterator[requests_mock.Mocker]:
    with requests_mock.Mocker() as mocker:
        yield mocker


@pytest.fixture
def failures() -> list[Exception]:
    return []


@pytest.fixture
def make(failures: list[Exception]) -> Iterator[Callable[..., Client]]:
    made: list[Client] = []

    def make(**options: Any) -> Client:
        options = {"host": HOST, "on_error": lambda error, _: failures.append(error), **options}
        made.append(Client("key", max_retries=0, **options))
        return made[-1]

    yield make
    for client in made:
        client.shutdown(5)


@pytest.mark.parametrize("sync_mode", [False, True])
def test_events_are_captured_with_their_bodies_and_count_as_delivered(
    mocker: requests_mock.Mocker, make: Callable[..., Client], *, sync_mode: bool
) -> None:
    mocker.post(BATCH, json={"success": True})
    client = make(sync_mode=sync_mode)
    for n in range(3):
        assert client.track("user", "event", {"n": n})[0]
        assert client.flush(10)
    assert client.stats.delivered == 3
    assert mocker.call_count == 3
    bodies = [json.loads(request.body) for request in mocker.request_history]
    assert [body["batch"][0]["properties"] for body in bodies] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert {request.method for request in mocker.request_history} == {"POST"}
    assert mocker.request_history[-1].headers["content-type"] == "application/json"


def test_the_answer_that_is_mocked_is_the_answer(
    mocker: requests_mock.Mocker, make: Callable[..., Client], failures: list[Exception]
) -> None:
    mocker.post(BATCH, status_code=400, json={"code": "bad", "message": "No."})
    client = make()
    client.track("user", "event")
    assert client.flush(10)
    [error] = failures
    assert (error.status, error.code) == (400, "bad")  # type: ignore[attr-defined]


def test_an_error_that_is_mocked_is_a_network_error(
    mocker: requests_mock.Mocker, make: Callable[..., Client], failures: list[Exception]
) -> None:
    mocker.post(BATCH, exc=requests.exceptions.ConnectTimeout)
    client = make()
    client.track("user", "event")
    assert client.flush(10)
    assert [str(error) for error in failures] == ["events.invalid: ConnectTimeout"]
    assert mocker.call_count == 1


def test_a_redirect_that_is_mocked_is_not_followed(
    mocker: requests_mock.Mocker, make: Callable[..., Client], failures: list[Exception]
) -> None:
    mocker.post(BATCH, status_code=302, headers={"Location": f"{HOST}/elsewhere"})
    client = make()
    client.track("user", "event")
    assert client.flush(10)
    assert mocker.call_count == 1
    assert failures[0].code == "redirect"  # type: ignore[attr-defined]


def test_what_is_not_mocked_never_leaves_the_machine(
    mocker: requests_mock.Mocker, make: Callable[..., Client], failures: list[Exception]
) -> None:
    client = make()
    client.track("user", "event")
    assert client.flush(10)
    assert [str(error) for error in failures] == ["the transport raised NoMockAddress"]


def test_a_client_that_has_sent_before_is_mocked_as_well(
    server: Any, make: Callable[..., Client]
) -> None:
    client = make(host=server.host)
    client.track("user", "first")
    assert client.flush(10)
    with requests_mock.Mocker() as mocker:
        mocker.post(f"{server.host}/v1/batch", json={})
        client.track("user", "second")
        assert client.flush(10)
    client.track("user", "third")
    assert client.flush(10)
    assert [message["event"] for message in server.messages] == ["first", "third"]


@pytest.mark.parametrize(
    "account, url",
    [
        (LibratoConfig("ada@example.com", "token", host=HOST), f"{HOST}/v1/metrics"),
        (OpenTelemetryConfig(HOST), f"{HOST}/v1/metrics"),
    ],
    ids=["librato", "otlp"],
)
def test_gauges_are_captured_as_well(
    mocker: requests_mock.Mocker, make: Callable[..., Client], account: Any, url: str
) -> None:
    mocker.post(BATCH, json={})
    gauges = mocker.post(url, content=b"")
    client = make(gauges=account)
    client.track("user", "event", {"value": 1})
    assert client.flush(10)
    assert gauges.call_count == 1
    assert gauges.request_history[0].body
