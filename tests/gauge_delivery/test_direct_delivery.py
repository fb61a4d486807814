"""Gauges delivered directly: the second pipeline, from the call to a local Librato."""

from __future__ import annotations

import itertools
import json
import math
import random
import textwrap
import threading
import time
import warnings
from collections import Counter, defaultdict
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.python import run_python
from support.signal_handlers import call_with_handler
from support.stand_ins import STAND_INS, Wrapped

import segment_librato as analytics
from segment_librato import (
    APIError,
    Client,
    ClientClosedError,
    ConfigError,
    DeliveryError,
    LibratoConfig,
    OpenTelemetryConfig,
    QueueFullError,
    ShutdownTimeoutError,
    ValidationError,
)
from segment_librato.devserver import LocalSegment

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.errors import Errors

    from segment_librato.devserver import Request
    from segment_librato.queue.message_queue import MessageQueue

    Account = Callable[..., LibratoConfig]
    MakeClient = Callable[..., Client]

LONG = 60.0
EMAIL = "ada@example.com"
TOKEN = "t0ken-that-must-not-show"  # noqa: S105  not a real one
NOT_ALLOWED = json.dumps({"errors": {"params": {"value": ["is not allowed"]}}}).encode()


@pytest.fixture
def account(server: LocalSegment) -> Account:
    def make(**options: Any) -> LibratoConfig:
        return LibratoConfig(EMAIL, TOKEN, **{"host": server.host, **options})

    return make


def of_librato(request: Request) -> bool:
    return request.path in {"/v1/metrics", "/v1/measurements"}


def of_segment(request: Request) -> bool:
    return request.path == "/v1/batch"


def every(period: int, remainder: int) -> Callable[[Request], bool]:
    """Return a condition that holds for the requests to Librato of these numbers."""
    numbers = itertools.count()
    return lambda request: of_librato(request) and next(numbers) % period == remainder


def has_name(name: str) -> Callable[[Request], bool]:
    return lambda request: any(one["name"] == name for one in request.measurements)


def track(client: Client, name: str, values: Any, source: str = "web-1", **options: Any) -> None:
    for value in values:
        client.track("user", name, {"value": value}, {"Librato": {"source": source}}, **options)


def settle(queue: MessageQueue) -> None:
    """Wait for the outcomes of all that a queue has taken in."""
    assert queue.wait_until_settled(queue.begin_flush(), queue.clock.deadline(10))


def values(server: LocalSegment, name: str) -> dict[str, list[float]]:
    found = defaultdict(list)
    for sample in server.librato.samples:
        if sample.name == name:
            found[sample.source].append(sample.sum)
    return dict(found)


def test_what_maps_goes_to_both_and_counts_once(
    server: LocalSegment, make_client: MakeClient, account: Account
) -> None:
    client = make_client(gauges=account())
    client.track("user", "Queue Depth", {"value": 42}, {"Librato": {"source": "web-1"}})
    client.page("user", "Docs", "Python", {"value": 2})
    client.screen("user", name="Home")
    assert client.flush(10)
    assert [(s.name, s.source, s.sum) for s in server.librato.samples] == [
        ("Queue-Depth", "web-1", 42),
        ("Viewed-Docs-Python-Page", "Viewed-Docs-Python-Page", 2),
        ("Viewed-Home-Screen", "Viewed-Home-Screen", 1),
    ]
    assert [m["integrations"] for m in server.messages] == [{"Librato": False}] * 3
    assert server.measurements == []


def test_what_makes_no_measurement_goes_to_segment_as_it_is(
    server: LocalSegment, make_client: MakeClient, account: Account
) -> None:
    client = make_client(gauges=account())
    client.identify("user", {"value": 1})
    client.track("user", "Free Text", {"value": "many"})
    client.track("user", "Switched Off", {"value": 1}, integrations={"Librato": False})
    client.track("user", "Others Off", {"value": 1}, integrations={"All": False})
    assert client.flush(10)
    assert [m["integrations"] for m in server.messages] == [
        {},
        {},
        {"Librato": False},
        {"All": False},
    ]
    assert server.librato.samples == []
    assert client.stats.gauges is not None
    assert client.stats.gauges.accepted == 0


def test_the_call_returns_the_message_as_it_is_sent(
    server: LocalSegment, make_client: MakeClient, account: Account
) -> None:
    client = make_client(gauges=account())
    integrations = {"Librato": {"source": "web 7"}, "Other": {"a": 1}}
    accepted, message = client.track("user", "E", {"value": 1}, integrations=integrations)
    assert accepted
    assert message["integrations"] == {"Librato": False, "Other": {"a": 1}}
    assert integrations == {"Librato": {"source": "web 7"}, "Other": {"a": 1}}
    assert client.flush(10)
    assert server.messages[0]["integrations"] == message["integrations"]
    assert values(server, "E") == {"web-7": [1]}


def test_the_gauge_may_be_left_to_the_cloud_as_well(
    server: LocalSegment, make_client: MakeClient, account: Account
) -> None:
    client = make_client(gauges=account(segment_too=True))
    track(client, "E", [3])
    assert client.flush(10)
    assert server.messages[0]["integrations"] == {}
    assert [m.value for m in server.measurements] == [3]
    assert values(server, "E") == {"web-1": [3]}


def test_without_a_write_key_nothing_goes_to_segment(
    server: LocalSegment, account: Account, errors: Errors
) -> None:
    with Client(gauges=account(), host=server.host, on_error=errors) as client:
        assert client.track("user", "E", {"value": 1})[0]
        assert client.identify("user")[0]
        assert client.flush(10)
        assert values(server, "E") == {"E": [1]}
        assert not [request for request in server.requests if of_segment(request)]
        assert client.stats.requests == 0
    accepted, message = client.track("user", "E", {"value": 2})
    assert (accepted, message["event"]) == (False, "E")
    assert errors.types == [ClientClosedError]


def test_without_a_write_key_the_result_is_about_the_measurement(
    server: LocalSegment, account: Account, errors: Errors
) -> None:
    with server.hold():
        client = Client(gauges=account(max_queue_size=1, upload_interval=LONG), on_error=errors)
        assert client.track("user", "E", {"value": 1})[0]
        assert server.wait_until(lambda: server.held == 1)
        assert client.track("user", "E", {"value": 2})[0]
        assert not client.track("user", "E", {"value": 3})[0]
        assert errors.types == [QueueFullError]
        [[measurement]] = [messages for _, messages in errors.calls]
        assert (measurement["name"], measurement["value"]) == ("E", 3)
    assert client.shutdown()


def test_a_client_that_sends_nothing_measures_nothing(
    server: LocalSegment, make_client: MakeClient, account: Account
) -> None:
    client = make_client(gauges=account(), send=False)
    track(client, "E", [1])
    assert client.flush(10)
    assert server.requests == []
    assert client.stats.gauges is None


def test_a_request_has_at_most_300_measurements(
    server: LocalSegment, make_client: MakeClient, account: Account
) -> None:
    client = make_client(gauges=account(upload_interval=LONG))
    track(client, "E", range(1_000))
    assert client.flush(10)
    sizes = [len(r.measurements) for r in server.requests if of_librato(r)]
    assert sum(sizes) == 1_000
    assert max(sizes) <= 300
    assert len(sizes) <= 8
    assert sorted(values(server, "E")["web-1"]) == list(range(1_000))
    assert server.librato.warnings == []


def test_a_gauge_is_made_with_the_period_and_the_attributes_of_the_account(
    server: LocalSegment, make_client: MakeClient, account: Account
) -> None:
    client = make_client(gauges=account(period=30, attributes={"display_min": 0}))
    track(client, "E", [1])
    assert client.flush(10)
    assert server.librato.metrics["E"]["period"] == 30
    assert server.librato.metrics["E"]["attributes"]["display_min"] == 0


def test_the_source_becomes_a_tag(
    server: LocalSegment, make_client: MakeClient, account: Account
) -> None:
    client = make_client(gauges=account(api="measurements"))
    at = datetime.now(timezone.utc) - timedelta(minutes=5)
    track(client, "E", [1.5], timestamp=at)
    assert client.flush(10)
    [sample] = server.librato.samples
    assert (sample.name, sample.source, sample.sum) == ("E", "web-1", 1.5)
    assert sample.measure_time == int(at.timestamp())
    [request] = filter(of_librato, server.requests)
    assert request.path == "/v1/measurements"
    assert request.measurements[0]["tags"] == {"source": "web-1"}


def test_app_optics_takes_the_token_alone(server: LocalSegment, make_client: MakeClient) -> None:
    account = LibratoConfig(token=TOKEN, host=server.host + "/", api="measurements")
    client = make_client(gauges=account)
    track(client, "E", [1])
    assert client.flush(10)
    assert values(server, "E") == {"web-1": [1]}


@pytest.mark.parametrize("api", ["metrics", "measurements"])
def test_a_poisoned_measurement_costs_only_itself(
    server: LocalSegment, make_client: MakeClient, account: Account, errors: Errors, api: str
) -> None:
    server.respond(400, body=NOT_ALLOWED, times=None, when=has_name("poison"))
    client = make_client(gauges=account(api=api, upload_interval=LONG))
    track(client, "E", range(100))
    track(client, "poison", [1])
    track(client, "E", range(100, 200))
    assert client.flush(10)
    assert sorted(values(server, "E")["web-1"]) == list(range(200))
    [(error, [measurement])] = errors.calls
    assert isinstance(error, APIError)
    assert (error.status, error.message) == (400, "value: is not allowed")
    assert measurement["name"] == "poison"
    assert client.stats.gauges is not None
    assert (client.stats.gauges.delivered, client.stats.gauges.failed) == (200, 1)
    assert client.stats.gauges.requests < 25
    assert client.stats.delivered == 201


def test_a_request_that_fails_as_a_whole_is_not_split(
    server: LocalSegment, make_client: MakeClient, account: Account, errors: Errors
) -> None:
    body = b'{"errors": {"request": ["Please use secured connection through https!"]}}'
    server.respond(400, body=body, times=None, when=of_librato)
    client = make_client(gauges=account(upload_interval=LONG))
    track(client, "E", range(50))
    assert client.flush(10)
    [(error, measurements)] = errors.calls
    assert error.message == "request: Please use secured connection through https!"  # type: ignore[attr-defined]
    assert len(measurements) == 50
    assert len([r for r in server.requests if of_librato(r)]) == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": "You have hit the API limit for measurements"}',
        b'{"errors": {"request": ["You have hit the API limit for measurements"]}}',
    ],
)
def test_a_rate_limit_is_retried_though_it_is_a_403(
    server: LocalSegment, make_client: MakeClient, account: Account, errors: Errors, body: bytes
) -> None:
    server.respond(403, body=body, times=2, when=of_librato)
    client = make_client(gauges=account())
    track(client, "E", [1])
    assert client.flush(10)
    assert values(server, "E") == {"web-1": [1]}
    assert errors.calls == []
    assert client.stats.gauges is not None
    assert client.stats.gauges.retries == 2


def test_a_rate_limit_that_does_not_end_says_so(
    server: LocalSegment, make_client: MakeClient, account: Account, errors: Errors
) -> None:
    server.respond(403, body=b'{"error": "API limit"}', times=None, when=of_librato)
    client = make_client(gauges=account(max_retries=1))
    track(client, "E", [1])
    assert client.flush(10)
    [(error, _)] = errors.calls
    assert isinstance(error, APIError)
    assert (error.status, error.code, error.message) == (403, "rate_limited", "API limit")


def test_another_403_is_final(
    server: LocalSegment, make_client: MakeClient, account: Account, errors: Errors
) -> None:
    server.respond(403, body=b'{"errors": {"request": ["no SSL"]}}', times=None, when=of_librato)
    client = make_client(gauges=account())
    track(client, "E", [1])
    assert client.flush(10)
    assert [error.status for error, _ in errors.calls] == [403]  # type: ignore[attr-defined]
    assert len([r for r in server.requests if of_librato(r)]) == 1


def test_a_wrong_account_is_one_error_and_disturbs_nobody(
    server: LocalSegment,
    make_client: MakeClient,
    account: Account,
    errors: Errors,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.respond(401, times=None, when=of_librato)
    client = make_client(gauges=account(upload_interval=LONG))
    track(client, "E", range(20))
    assert client.flush(10)
    [(error, measurements)] = errors.calls
    assert isinstance(error, APIError)
    assert str(error) == f"127.0.0.1:{server.port} answered 401; check email and token"
    assert (error.code, len(measurements)) == ("unauthorized", 20)
    assert len([r for r in server.requests if of_librato(r)]) == 1
    assert client.stats.delivered == 20
    assert TOKEN not in f"{caplog.text} {error!r} {vars(error)}"


@pytest.mark.parametrize("api", ["metrics", "measurements"])
def test_a_404_names_the_path_that_was_posted_to(
    server: LocalSegment, make_client: MakeClient, errors: Errors, api: Any
) -> None:
    account = LibratoConfig(token=TOKEN, email="a@b.c", host=f"{server.host}/here/", api=api)
    client = make_client(gauges=account)
    track(client, "E", [1])
    assert client.flush(10)
    [(error, _)] = errors.calls
    place = f"127.0.0.1:{server.port}"
    assert str(error) == f"{place} answered 404 to a POST to /here/v1/{api}; check `host`"
    with pytest.raises(APIError) as caught:
        client.configure_gauge("private name")
    expected = "answered 404 to a PUT to /here/v1/metrics/{name}; check `host`"
    assert str(caught.value) == f"{place} {expected}"


def test_an_account_of_a_token_alone_is_told_to_check_that(
    server: LocalSegment, make_client: MakeClient, errors: Errors
) -> None:
    server.respond(401, when=of_librato)
    client = make_client(gauges=LibratoConfig(token=TOKEN, host=server.host, api="measurements"))
    track(client, "E", [1])
    assert client.flush(10)
    assert str(errors.calls[0][0]) == f"127.0.0.1:{server.port} answered 401; check token"


def test_a_redirect_is_not_followed(
    server: LocalSegment, make_client: MakeClient, account: Account, errors: Errors
) -> None:
    location = f"http://elsewhere.invalid/{TOKEN}"
    server.respond(302, headers={"Location": location}, when=of_librato)
    client = make_client(gauges=account())
    track(client, "E", [1])
    assert client.flush(10)
    [(error, _)] = errors.calls
    assert str(error) == (
        f"127.0.0.1:{server.port} answered 302, a redirect to http://elsewhere.invalid; "
        "set `host` to where the API is"
    )
    assert error.code == "redirect"  # type: ignore[attr-defined]


def test_a_success_with_errors_is_reported_and_not_repeated(
    server: LocalSegment, make_client: MakeClient, account: Account, errors: Errors
) -> None:
    body = json.dumps({"errors": [{"param": "name", "reason": f"{TOKEN} is odd"}]}).encode()
    server.respond(202, body=body, when=of_librato)
    client = make_client(gauges=account(api="measurements", upload_interval=LONG))
    track(client, "E", range(3))
    assert client.flush(10)
    [(error, measurements)] = errors.calls
    assert type(error) is DeliveryError
    assert len(measurements) == 3
    assert "is odd" in error.message
    assert TOKEN not in error.message
    assert len([r for r in server.requests if of_librato(r)]) == 1


def test_what_librato_would_find_too_old_is_reported_and_the_rest_is_sent(
    server: LocalSegment, make_client: MakeClient, account: Account, errors: Errors
) -> None:
    client = make_client(gauges=account(upload_interval=LONG, time_window=3_600))
    now = datetime.now(timezone.utc)
    for value, hours in enumerate([0, -2, -3, 0.5, 2, 0]):
        track(client, "E", [value], timestamp=now + timedelta(hours=hours))
    assert client.flush(10)
    assert values(server, "E") == {"web-1": [0, 3, 5]}
    assert [[m["value"] for m in messages] for _, messages in errors.calls] == [[1, 2], [4]]
    assert {str(error) for error, _ in errors.calls} == {
        "measure_time is more than 3600 s from now, which Librato rejects"
    }
    assert len(server.messages) == 6


def test_nothing_is_sent_if_all_is_too_old(
    server: LocalSegment, make_client: MakeClient, account: Account, errors: Errors
) -> None:
    client = make_client(gauges=account())
    track(client, "E", range(5), timestamp="2001-02-03")
    assert client.flush(10)
    assert sum(len(messages) for _, messages in errors.calls) == 5
    assert not [r for r in server.requests if of_librato(r)]


def test_segment_goes_on_while_librato_hangs(
    server: LocalSegment, make_client: MakeClient, account: Account
) -> None:
    with LocalSegment() as other:
        client = make_client(gauges=account(host=other.host))
        with other.hold():
            track(client, "E", range(10))
            assert not client.flush(0.3)
            assert server.wait_for(10)
            settle(client.queue)
            assert client.stats.pending == 0
            assert client.stats.gauges is not None
            assert client.stats.gauges.pending == 10
        assert client.shutdown()
        assert sum(map(len, values(other, "E").values())) == 10


def test_librato_goes_on_while_segment_hangs(
    server: LocalSegment, make_client: MakeClient, account: Account, errors: Errors
) -> None:
    with LocalSegment() as other, other.hold():
        client = make_client(host=other.host, gauges=account(), max_queue_size=5)
        track(client, "E", range(50))
        assert not client.flush(0.3)
        assert server.wait_until(lambda: len(server.librato.samples) == 50)
        assert client.stats.rejected > 0
        assert set(errors.types) == {QueueFullError}
        settle(client._router.queues[1])  # noqa: SLF001  nothing public settles one of them
        assert not client.shutdown(timeout=0.1)
    assert client.stats.gauges is not None
    assert client.stats.gauges.delivered == 50


def test_what_is_left_over_is_reported_by_each_pipeline(
    server: LocalSegment, make_client: MakeClient, account: Account, errors: Errors
) -> None:
    with server.hold():
        client = make_client(gauges=account())
        track(client, "E", range(10))
        assert not client.shutdown(timeout=0.1)
    assert set(errors.types) == {ShutdownTimeoutError}
    left_over = Counter("messageId" in m for _, messages in errors.calls for m in messages)
    assert left_over == {True: 10, False: 10}
    stats = client.stats
    assert stats.gauges is not None
    assert (stats.failed, stats.gauges.failed) == (10, 10)


def test_on_error_may_flush_and_shut_down_in_both_pipelines_at_once(
    server: LocalSegment, account: Account
) -> None:
    """Each waits for the other's messages while it holds its own: nobody may wait forever."""
    both = threading.Barrier(2)
    outcomes: list[bool] = []

    def on_error(error: Exception, messages: list[dict[str, Any]]) -> None:
        both.wait(10)
        outcomes.append(client.flush())
        outcomes.append(client.shutdown())

    server.respond(404, times=None)
    client = Client("key", host=server.host, gauges=account(), on_error=on_error)
    track(client, "E", [1])
    for consumer in client.consumers:
        consumer.thread.join(10)  # type: ignore[union-attr]
    assert outcomes == [False] * 4
    assert not any(consumer.is_alive() for consumer in client.consumers)


def test_in_sync_mode_the_call_delivers_both(
    server: LocalSegment, make_client: MakeClient, account: Account
) -> None:
    client = make_client(gauges=account(aggregate=60), sync_mode=True)
    track(client, "E", [7])
    assert values(server, "E") == {"web-1": [7]}
    assert len(server.messages) == 1
    assert client.consumers is None


def test_the_setting_of_the_module(
    server: LocalSegment, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("write_key", "host", "gauges", "default_client"):
        monkeypatch.setattr(analytics, name, getattr(analytics, name))
    analytics.default_client = None
    analytics.write_key = "key"
    analytics.host = server.host
    analytics.gauge("before", 1)
    analytics.gauges = account()
    analytics.gauge("after", 2, source="web-1")
    assert analytics.flush(10)
    from segment_librato.librato import map_message

    assert map_message({"type": "track", "event": "E"}) is not None
    assert values(server, "after") == {"web-1": [2]}
    assert values(server, "before") == {}
    analytics.gauges = None
    analytics.gauge("at last", 3)
    assert analytics.shutdown(10)
    assert values(server, "at-last") == {}
    analytics.default_client = None


def test_the_repr_names_the_destinations_without_secrets(
    server: LocalSegment, make_client: MakeClient, account: Account
) -> None:
    client = make_client(gauges=account(upload_interval=LONG), upload_interval=LONG)
    track(client, "E", [1])
    host = server.host
    assert repr(client) == f"<Client of {host}/v1/batch and {host}, messages pending: 2>"
    with Client(gauges=account()) as of_librato_only:
        assert repr(of_librato_only) == f"<Client of {host}, messages pending: 0>"
    with Client(gauges=OpenTelemetryConfig()) as of_open_telemetry:
        assert "<Client of the OTLP endpoint of the environment" in repr(of_open_telemetry)


@pytest.mark.parametrize("method", ["gauge", "flush", "join"])
def test_a_signal_handler_may_use_both_pipelines_at_any_line_of_a_call(
    server: LocalSegment,
    make_client: MakeClient,
    account: Account,
    errors: Errors,
    method: str,
) -> None:
    line = 0
    got_that_far = True
    while got_that_far:
        line += 9
        client = make_client(gauges=account(aggregate=60), upload_interval=LONG)

        def handler(client: Client = client) -> None:
            arguments = ("E", 1) if method == "gauge" else (10,)
            assert getattr(client, method)(*arguments)

        got_that_far = call_with_handler(
            lambda client=client: client.gauge("E", 1),  # type: ignore[misc]
            line,
            handler,
            step="line",
        )
        assert client.flush(timeout=10), f"line {line}"
        count = 1 + (got_that_far and method == "gauge")
        assert client.stats.is_settled
        assert client.stats.delivered == count
        assert sum(sample.count for sample in server.librato.samples) == count, f"line {line}"
        assert errors.calls == []
        assert client.shutdown(timeout=10)
        server.clear()
    assert line > 100


class TestGauge:
    def test_is_the_track_call_of_the_documentation(
        self, server: LocalSegment, make_client: MakeClient
    ) -> None:
        client = make_client()
        assert client.gauge("queue.depth", 42, source="web-1")[0]
        assert client.flush(10)
        [message] = server.messages
        assert message["type"] == "track"
        assert message["event"] == "queue.depth"
        assert message["properties"] == {"value": 42}
        assert message["context"]["Librato"] == {"source": "web-1"}
        assert (message["userId"], message["anonymousId"]) == (None, "web-1")
        [measurement] = server.measurements
        assert (measurement.name, measurement.value, measurement.source) == (
            "queue.depth",
            42,
            "web-1",
        )

    def test_may_belong_to_a_user(self, server: LocalSegment, make_client: MakeClient) -> None:
        client = make_client()
        at = datetime(2026, 11, 20, tzinfo=timezone.utc)
        client.gauge("queue.depth", 1.5, "web-1", "ada", timestamp=at)
        assert client.flush(10)
        [message] = server.messages
        assert (message["userId"], message["anonymousId"]) == ("ada", None)
        assert message["timestamp"].startswith("2026-11-20T00:00:00")

    def test_without_a_source_is_its_own(
        self, server: LocalSegment, make_client: MakeClient
    ) -> None:
        client = make_client()
        client.gauge("queue.depth", 1)
        assert client.flush(10)
        assert server.messages[0]["anonymousId"] == "queue.depth"
        assert [m.source for m in server.measurements] == ["queue.depth"]

    @pytest.mark.parametrize(
        "arguments, text",
        [
            (("depth", "42"), "value: expected a number, got str"),
            (("depth", None), "value: expected a number, got NoneType"),
            (("depth", True), "value: expected a number, got bool"),
            (("depth", math.nan), "value: expected a finite number of at most 1e126 in magnitude"),
            (("depth", math.inf), "value: expected a finite number of at most 1e126 in magnitude"),
            (("depth", 10**400), "value: expected a finite number of at most 1e126 in magnitude"),
            ((None, 1), "name: expected a str, got NoneType"),
            (("n" * 256, 1), "name: expected at most 255 characters, got 256"),
            (("", 1), "name: expected a non-empty str, got an empty str"),
            (("All", 1), 'name: expected another name than "all", which Librato reserves'),
            (("depth", 1, 5), "source: expected a non-empty str or None, got int"),
            (("depth", 1, ""), "source: expected a non-empty str or None, got an empty str"),
        ],
    )
    def test_rejects_what_makes_no_measurement(
        self, make_client: MakeClient, arguments: Any, text: str
    ) -> None:
        with pytest.raises(ValidationError) as caught:
            make_client().gauge(*arguments)
        assert str(caught.value) == text

    @pytest.mark.parametrize(
        "value, number",
        [
            (np.float32(3), 3),
            (np.float16(1.5), 1.5),
            (np.int8(3), 3),
            (np.array(2.5), 2.5),
            (Fraction(1, 4), 0.25),
            (Decimal("1.5"), 1.5),
            (Wrapped(7), 7),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_takes_numbers_of_other_packages_without_a_warning(
        self, make_client: MakeClient, value: Any, number: float
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _, message = make_client(send=False).gauge("depth", value)
        assert message["properties"] == {"value": number}

    @pytest.mark.parametrize(
        "value", [np.float32("nan"), np.longdouble("1e4000"), Fraction(10**400)]
    )
    def test_rejects_those_that_are_out_of_range(self, make_client: MakeClient, value: Any) -> None:
        with pytest.raises(ValidationError, match="expected a finite number of at most 1e126"):
            make_client(send=False).gauge("depth", value)

    @pytest.mark.parametrize(
        "value",
        [
            np.ma.masked,
            np.ma.array(5, mask=True),
            np.timedelta64(1_500_000_000, "ns"),
            np.datetime64("2026-01-02T03:04:05", "ns"),
            np.array(1_500_000_000, "timedelta64[ns]"),
        ],
        ids=["masked", "masked array", "timedelta64", "datetime64", "array of timedelta64"],
    )
    def test_rejects_what_only_looks_like_a_number(
        self, make_client: MakeClient, value: Any
    ) -> None:
        """A masked value would be 0, and a time the number of its nanoseconds."""
        with pytest.raises(ValidationError, match="value: expected a number, got "):
            make_client(send=False).gauge("depth", value)

    @pytest.mark.parametrize("stand_in", STAND_INS)
    def test_takes_what_stands_for_its_arguments(
        self, make_client: MakeClient, stand_in: Callable[[object], Any]
    ) -> None:
        client, none = make_client(send=False), stand_in(None)
        name, value = stand_in("depth"), stand_in(7)
        _, message = client.gauge(name, value, none, none, timestamp=none)
        assert (message["event"], message["properties"]) == ("depth", {"value": 7})
        assert (message["userId"], message["anonymousId"]) == (None, "depth")
        assert message["context"].keys() == {"library"}
        _, message = client.gauge(name, value, stand_in("web-1"), stand_in(5))
        assert (message["userId"], message["anonymousId"]) == ("5", None)
        assert message["context"]["Librato"] == {"source": "web-1"}
        with pytest.raises(ValidationError, match="value: expected a number, got NoneType"):
            client.gauge("depth", none)


class TestConfigureGauge:
    @pytest.mark.parametrize("stand_in", STAND_INS)
    def test_takes_what_stands_for_its_arguments(
        self,
        server: LocalSegment,
        make_client: MakeClient,
        account: Account,
        stand_in: Callable[[object], Any],
    ) -> None:
        client = make_client(gauges=account())
        name, period, summarize, aggregate, none = map(stand_in, ("E", 120, "max", False, None))
        client.configure_gauge(name, period, summarize, aggregate, none)
        metric = server.librato.metrics["E"]
        assert metric["period"] == 120
        assert metric["attributes"]["summarize_function"] == "max"
        assert metric["attributes"]["aggregate"] is False

    def test_sets_what_the_documentation_asks_for_and_may_be_repeated(
        self, server: LocalSegment, make_client: MakeClient, account: Account
    ) -> None:
        client = make_client(gauges=account())
        for _ in range(2):
            client.configure_gauge("Queue Depth", display_name="Depth of the queue")
        metric = server.librato.metrics["Queue-Depth"]
        assert (metric["period"], metric["display_name"]) == (60, "Depth of the queue")
        assert metric["attributes"]["summarize_function"] == "sum"
        assert metric["attributes"]["aggregate"] is True
        assert [request.status for request in server.requests] == [201, 204]

    def test_changes_a_gauge_that_is_there(
        self, server: LocalSegment, make_client: MakeClient, account: Account
    ) -> None:
        client = make_client(gauges=account())
        track(client, "E", [1])
        assert client.flush(10)
        client.configure_gauge("E", period=120, summarize="max", aggregate=False)
        assert server.librato.metrics["E"]["period"] == 120
        assert server.librato.metrics["E"]["attributes"]["summarize_function"] == "max"
        assert server.librato.metrics["E"]["attributes"]["aggregate"] is False

    @pytest.mark.parametrize(
        "options, text",
        [
            ({"name": 1}, "name: expected a str, got int"),
            (
                {"name": ".."},
                'name: expected another name than "." and "..", which no URL has',
            ),
            ({"name": "."}, 'name: expected another name than "." and "..", which no URL has'),
            ({"name": "all"}, 'name: expected another name than "all", which Librato reserves'),
            ({"period": "60"}, "period: expected an int, got str"),
            ({"period": 5}, "period: expected 10 to 600 seconds, got 5"),
            (
                {"summarize": "median"},
                "summarize: expected average, sum, count, min or max, got another str",
            ),
            ({"aggregate": 1}, "aggregate: expected a bool, got int"),
            ({"display_name": 1}, "display_name: expected a str or None, got int"),
        ],
    )
    def test_rejects_wrong_arguments_by_name(
        self,
        server: LocalSegment,
        make_client: MakeClient,
        account: Account,
        options: Any,
        text: str,
    ) -> None:
        client = make_client(gauges=account())
        with pytest.raises(ValidationError) as caught:
            client.configure_gauge(**{"name": "E", **options})
        assert str(caught.value) == text
        assert server.requests == []

    def test_needs_an_account(self, make_client: MakeClient) -> None:
        with pytest.raises(ConfigError) as caught:
            make_client().configure_gauge("E")
        assert str(caught.value) == (
            "gauges: expected a LibratoConfig to set up gauges, got NoneType"
        )

    def test_sends_nothing_if_the_client_does_not(
        self, server: LocalSegment, make_client: MakeClient, account: Account
    ) -> None:
        client = make_client(gauges=account(), send=False)
        client.configure_gauge("E")
        assert server.requests == []
        with pytest.raises(ValidationError):
            client.configure_gauge("all")

    def test_raises_what_librato_says(
        self, server: LocalSegment, make_client: MakeClient, account: Account
    ) -> None:
        client = make_client(gauges=account())
        server.respond(401)
        with pytest.raises(APIError) as caught:
            client.configure_gauge("E")
        assert str(caught.value) == f"127.0.0.1:{server.port} answered 401; check email and token"

    def test_is_a_function_of_the_module_too(
        self, server: LocalSegment, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = Client("key", host=server.host, gauges=account())
        monkeypatch.setattr(analytics, "default_client", client)
        analytics.configure_gauge("E", period=30)
        assert server.librato.metrics["E"]["period"] == 30
        monkeypatch.undo()
        assert client.shutdown()


class TestAggregation:
    def test_one_gauge_for_each_name_source_and_period(
        self,
        server: LocalSegment,
        make_client: MakeClient,
        account: Account,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        beginning_of_a_period = SimpleNamespace(time=lambda: 0.0)
        monkeypatch.setattr("segment_librato.gauge_delivery.queue.time", beginning_of_a_period)
        client = make_client(gauges=account(aggregate=60, attributes={}))
        start = int(time.time()) // 60 * 60 - 600
        for second in (0, 30, 59, 60):
            at = datetime.fromtimestamp(start + second, timezone.utc)
            track(client, "E", [second, 0.5], timestamp=at)
            track(client, "E", [1], source="web-2", timestamp=at)
        assert client.flush(10)
        found = {
            (s.source, s.measure_time - start): (s.count, s.sum, s.min, s.max, s.sum_squares)
            for s in server.librato.samples
        }
        assert found == {
            ("web-1", 0): (6, 90.5, 0, 59, 4381.75),
            ("web-1", 60): (2, 60.5, 0.5, 60, 3600.25),
            ("web-2", 0): (3, 3, 1, 1, 3),
            ("web-2", 60): (1, 1, 1, 1, 1),
        }
        assert client.stats.gauges is not None
        assert client.stats.gauges.delivered == 4

    def test_leaves_when_the_period_ends(
        self, server: LocalSegment, make_client: MakeClient, account: Account
    ) -> None:
        client = make_client(gauges=account(aggregate=1))
        track(client, "E", [1, 2, 3])
        assert server.wait_until(lambda: sum(s.count for s in server.librato.samples) == 3)

    def test_leaves_at_the_exit(self, server: LocalSegment) -> None:
        run_script(
            server,
            """
            client = Client(gauges=account(aggregate=3600), on_error=print)
            for value in range(1000):
                client.gauge("E", value, source="web-1")
            """,
        )
        assert sum(s.count for s in server.librato.samples) == 1_000
        assert math.fsum(s.sum for s in server.librato.samples) == sum(range(1_000))

    def test_what_failed_is_reported_as_the_folded_gauge(
        self, server: LocalSegment, make_client: MakeClient, account: Account, errors: Errors
    ) -> None:
        server.respond(401, times=None, when=of_librato)
        client = make_client(gauges=account(aggregate=3600))
        track(client, "E", [1, 2])
        assert client.flush(10)
        measurements = [m for _, messages in errors.calls for m in messages]
        assert sum(m["count"] for m in measurements) == 2
        assert sum(m["sum"] for m in measurements) == 3


def run_script(server: LocalSegment, script: str) -> str:
    preamble = f"""
        import os, threading
        from segment_librato import Client, LibratoConfig
        def account(**options):
            return LibratoConfig("ada@example.com", "token", {server.host!r}, **options)
    """
    return run_python(textwrap.dedent(preamble) + textwrap.dedent(script))


def test_what_waits_leaves_at_the_exit(server: LocalSegment) -> None:
    output = run_script(
        server,
        f"""
        account = account(upload_interval=60)
        client = Client("key", {server.host!r}, gauges=account, on_error=print)
        for value in range(1000):
            client.gauge("E", value)
        """,
    )
    assert output == ""
    assert sum(map(len, values(server, "E").values())) == 1_000
    assert len(server.messages) == 1_000


def test_a_forked_child_delivers_its_own_and_the_parent_the_rest(server: LocalSegment) -> None:
    run_script(
        server,
        """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        client = Client(gauges=account(upload_interval=60), on_error=print)
        for value in range(10):
            client.gauge("parent", value)
        child = os.fork()
        if child == 0:
            client.gauge("child", 1)
            os._exit(0 if client.shutdown() else 1)
        assert os.waitpid(child, 0)[1] == 0
        """,
    )
    assert sorted(values(server, "parent")["parent"]) == list(range(10))
    assert values(server, "child") == {"child": [1]}


@pytest.mark.slow
@pytest.mark.parametrize("aggregate", [0, 10])
def test_100_000_calls_under_faults_add_up_exactly(
    server: LocalSegment, account: Account, errors: Errors, aggregate: int
) -> None:
    """Faults leave the outcome known, as Librato cannot tell that a request comes again.

    The values are fractions of which every sum is a float, so that folding rounds nothing.
    """
    server.respond(500, times=None, when=every(20, 0))
    server.respond(429, times=None, when=every(20, 1))
    server.respond(400, body=NOT_ALLOWED, times=None, when=has_name("poison"))
    names, sources, threads, calls = ["a", "b", "c"], ["web-1", "web-2"], 8, 12_500
    client = Client(
        gauges=account(aggregate=aggregate, max_queue_size=0, attributes={"aggregate": False}),
        on_error=errors,
    )
    sent: list[list[tuple[str, str, float]]] = [[] for _ in range(threads)]

    def work(number: int) -> None:
        chosen = random.Random(number)  # noqa: S311  not a secret
        for _ in range(calls):
            call = (chosen.choice(names), chosen.choice(sources), chosen.randrange(10**9) / 1024)
            sent[number].append(call)
            client.gauge(call[0], call[2], source=call[1])
        client.gauge("poison", 1)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert client.shutdown(60)
    expected: dict[tuple[str, str], list[float]] = defaultdict(list)
    for name, source, value in (call for calls_of_one in sent for call in calls_of_one):
        expected[name, source].append(value)
    found = defaultdict(list)
    for sample in server.librato.samples:
        found[sample.name, sample.source].append(sample)
    assert found.keys() == expected.keys()
    for key, samples in found.items():
        assert sum(s.count for s in samples) == len(expected[key])
        assert min(s.min for s in samples if s.min is not None) == min(expected[key])
        assert max(s.max for s in samples if s.max is not None) == max(expected[key])
        assert math.fsum(s.sum for s in samples) == math.fsum(expected[key])
    poisoned = [m for _, messages in errors.calls for m in messages]
    assert {m["name"] for m in poisoned} == {"poison"}
    assert sum(m.get("count", 1) for m in poisoned) == threads
    stats = client.stats.gauges
    assert stats is not None
    assert stats.accepted == stats.delivered + stats.failed
    assert stats.failed == len(poisoned)
