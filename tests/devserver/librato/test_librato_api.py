"""The Librato Metrics API of the local server over real HTTP: what it takes, keeps and shows."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import math
import signal
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from segment_librato.devserver import LocalSegment, Point, Sample
from segment_librato.devserver import __main__ as command_line

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.once

MISSING = {"errors": {"request": ["Please provide credentials for authentication."]}}
HOUR = 3600


class Response(NamedTuple):
    status: int
    json: Any
    headers: http.client.HTTPMessage


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def ask(
    server: LocalSegment,
    method: str,
    path: str,
    body: object = None,
    *,
    authorization: str = basic("me@example.com", "token"),
    content_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> Response:
    """Send a request, its body as JSON unless it is bytes; an empty response has the JSON None."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Authorization": authorization, "Content-Type": content_type, **(headers or {})}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path, data, {k: v for k, v in fields.items() if v})
        response = connection.getresponse()
        return Response(response.status, json.loads(response.read() or b"null"), response.headers)
    finally:
        connection.close()


def post(server: LocalSegment, *gauges: object, **fields: Any) -> Response:
    return ask(server, "POST", "/v1/metrics", {"gauges": list(gauges), **fields})


def post_tagged(server: LocalSegment, *measurements: object, **fields: Any) -> Response:
    body = {"measurements": list(measurements), **fields}
    return ask(server, "POST", "/v1/measurements", body)


def put(server: LocalSegment, name: str, **properties: Any) -> Response:
    return ask(server, "PUT", f"/v1/metrics/{name}", properties)


def get(server: LocalSegment, name: str) -> Response:
    return ask(server, "GET", f"/v1/metrics/{name}", b"")


def gauge(name: str = "cpu", value: object = 1, **fields: Any) -> dict[str, Any]:
    return {"name": name, "value": value, **fields}


def tagged(name: str = "cpu", value: object = 1, **fields: Any) -> dict[str, Any]:
    return {"name": name, "value": value, "tags": {"source": "web"}, **fields}


def summary(name: str = "cpu", **fields: Any) -> dict[str, Any]:
    return {"name": name, "count": 2, "sum": 3, **fields}


def params(response: Response) -> dict[str, list[str]]:
    """Return the errors of a rejection that concerns fields, checking its form."""
    assert response.status == 400
    assert set(response.json) == {"errors"}
    assert set(response.json["errors"]) == {"params"}
    errors: dict[str, list[str]] = response.json["errors"]["params"]
    assert all(isinstance(text, str) and text for texts in errors.values() for text in texts)
    return errors


def request_errors(response: Response) -> list[str]:
    """Return the errors of a rejection that concerns the request itself, checking its form."""
    assert set(response.json) == {"errors"}
    assert set(response.json["errors"]) == {"request"}
    errors: list[str] = response.json["errors"]["request"]
    assert all(isinstance(text, str) and text for text in errors)
    return errors


def period_start(period: int = 60) -> int:
    """Return a time that begins a period, well within what may be sent."""
    return (int(time.time()) - HOUR) // period * period


class TestCredentials:
    @pytest.mark.parametrize(
        "authorization",
        [
            "",
            "Bearer token",
            "Basic !!",
            basic("", ""),
            basic("", "token"),
            basic("me@example.com", ""),
            "Basic " + base64.b64encode(b"me@example.com").decode(),
        ],
    )
    def test_gauges_need_email_and_token(self, server: LocalSegment, authorization: str) -> None:
        body = {"gauges": [gauge()]}

        response = ask(server, "POST", "/v1/metrics", body, authorization=authorization)

        assert (response.status, response.json) == (401, MISSING)
        assert server.librato.samples == []

    @pytest.mark.parametrize("authorization", [basic("token", ""), basic("me", "token")])
    def test_tagged_measurements_need_a_user_only(
        self, server: LocalSegment, authorization: str
    ) -> None:
        body = {"measurements": [tagged()]}
        path = "/v1/measurements"
        assert ask(server, "POST", path, body, authorization=authorization).status == 202
        assert server.requests[0].write_key in {"token", "me"}

    @pytest.mark.parametrize("authorization", ["", basic("", ""), basic("", "token")])
    @pytest.mark.parametrize(
        "route",
        ["POST /v1/measurements", "GET /v1/metrics", "GET /v1/metrics/x", "PUT /v1/metrics/x"],
    )
    def test_every_other_route_needs_a_user(
        self, server: LocalSegment, route: str, authorization: str
    ) -> None:
        method, path = route.split()

        response = ask(server, method, path, {"type": "gauge"}, authorization=authorization)

        assert (response.status, response.json) == (401, MISSING)
        assert server.librato.metrics == {}

    def test_a_token_may_hold_a_colon_and_never_shows(self, server: LocalSegment) -> None:
        authorization = basic("me@example.com", "se:cret")
        ask(server, "POST", "/v1/metrics", {"gauges": [gauge()]}, authorization=authorization)

        assert len(server.librato.samples) == 1
        assert "me@example.com" not in repr(server.requests)
        assert authorization not in repr(server.requests)

    def test_credentials_come_before_everything_but_the_route(self, server: LocalSegment) -> None:
        response = ask(
            server, "POST", "/v1/metrics", b"{", authorization="", content_type="text/plain"
        )
        assert response.status == 401
        assert ask(server, "POST", "/v1/metrics/x", b"{", authorization="").status == 405


class TestRequestForm:
    @pytest.mark.parametrize("content_type", ["", "text/json", "application/x-www-form-urlencoded"])
    @pytest.mark.parametrize(
        "route", ["POST /v1/metrics", "POST /v1/measurements", "PUT /v1/metrics/cpu"]
    )
    def test_only_json_is_taken(self, server: LocalSegment, route: str, content_type: str) -> None:
        method, path = route.split()
        body = {"gauges": [gauge()], "measurements": [tagged()], "type": "gauge"}

        response = ask(server, method, path, body, content_type=content_type)

        assert response.status == 415
        assert request_errors(response)
        assert server.librato.metrics == {}

    def test_a_content_type_may_have_parameters_and_any_case(self, server: LocalSegment) -> None:
        body = {"gauges": [gauge()]}
        content_type = "Application/JSON; charset=utf-8"
        assert ask(server, "POST", "/v1/metrics", body, content_type=content_type).status == 200

    @pytest.mark.parametrize("path", ["/v1/metrics", "/v1/measurements"])
    @pytest.mark.usefixtures("uncollected")
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b"\xff",
            b"{}",
            b'{"gauges": [], "measurements": []}',
            b'{"gauges": {}, "measurements": {}}',
            b'{"gauges": null, "measurements": null}',
            b'{"gauges": "cpu", "measurements": "cpu"}',
            b'{"gauges": ["cpu"], "measurements": ["cpu"]}',
            b'{"gauges": [null], "measurements": [null]}',
            b'{"gauges": {"cpu": 1}, "measurements": {"cpu": {"value": 1}}}',
            b'{"gauges": [{"name": "cpu", "value": NaN}], "measurements": [{"value": NaN}]}',
            b'{"gauges": [{"name": "cpu", "value": 1e999}], "measurements": [{"value": 1e999}]}',
            b'{"gauges": ' + b"[" * 200_000,
        ],
        ids=lambda value: str(value[:40]),
    )
    def test_what_holds_no_measurements_is_an_error_of_the_request(
        self, server: LocalSegment, path: str, body: bytes
    ) -> None:
        response = ask(server, "POST", path, body)

        assert response.status == 400
        (text,) = request_errors(response)
        assert server.requests[0].rejection == text
        assert server.requests[0].measurements == ()

    def test_gzip_is_taken(self, server: LocalSegment) -> None:
        body = gzip.compress(json.dumps({"gauges": [gauge()]}).encode())
        headers = {"Content-Encoding": "gzip"}
        assert ask(server, "POST", "/v1/metrics", body, headers=headers).status == 200
        assert len(server.librato.samples) == 1

    @pytest.mark.parametrize(
        "path, method, allowed",
        [
            ("/v1/metrics", "PUT", "GET, POST"),
            ("/v1/metrics", "DELETE", "GET, POST"),
            ("/v1/measurements", "GET", "POST"),
            ("/v1/metrics/cpu", "POST", "GET, PUT"),
            ("/v1/metrics/cpu", "DELETE", "GET, PUT"),
        ],
    )
    def test_a_wrong_method_is_rejected_and_the_right_ones_named(
        self, server: LocalSegment, path: str, method: str, allowed: str
    ) -> None:
        response = ask(server, method, path, {})

        assert (response.status, response.headers["Allow"]) == (405, allowed)
        assert request_errors(response)

    @pytest.mark.parametrize("path", ["/v1/metric", "/v1/measurements/cpu", "/v2/metrics"])
    def test_an_unknown_route_is_not_found(self, server: LocalSegment, path: str) -> None:
        assert ask(server, "POST", path, {"gauges": [gauge()]}).status == 404


class TestGauges:
    def test_a_value_is_a_sample_of_one(self, server: LocalSegment) -> None:
        now = period_start()

        response = post(server, gauge("cpu", -2.5, measure_time=now, source="web-1"))

        assert (response.status, response.json) == (200, None)
        assert response.headers["Content-Length"] == "0"
        assert server.librato.samples == [
            Sample("cpu", "web-1", now, count=1, sum=-2.5, min=-2.5, max=-2.5, sum_squares=6.25)
        ]

    def test_a_summary_keeps_what_was_sent_of_it(self, server: LocalSegment) -> None:
        now = period_start()
        full = summary(min=1, max=2, sum_squares=5, measure_time=now)

        assert post(server, full, summary(measure_time=now)).status == 200

        assert server.librato.samples == [
            Sample("cpu", "", now, count=2, sum=3, min=1, max=2, sum_squares=5),
            Sample("cpu", "", now, count=2, sum=3, min=None, max=None, sum_squares=None),
        ]

    def test_time_and_source_of_the_body_are_defaults(self, server: LocalSegment) -> None:
        now = period_start()
        own = gauge("own", measure_time=now - 1, source="db")

        post(server, own, gauge("shared"), measure_time=now, source="web")

        assert [(one.source, one.measure_time) for one in server.librato.samples] == [
            ("db", now - 1),
            ("web", now),
        ]

    def test_a_measurement_without_a_time_takes_the_time_of_receipt(
        self, server: LocalSegment
    ) -> None:
        before = int(time.time())
        post(server, gauge())
        assert before <= server.librato.samples[0].measure_time <= time.time()

    def test_the_time_of_receipt_is_not_that_of_a_late_decision(
        self, server: LocalSegment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with server.hold():
            sending = threading.Thread(target=post, args=(server, gauge()))
            sending.start()
            assert server.wait_until(lambda: server.held == 1)
            monkeypatch.setattr(time, "time", lambda: 0)
        sending.join()
        assert server.librato.samples[0].measure_time > 0

    def test_gauges_may_be_keyed_by_name(self, server: LocalSegment) -> None:
        gauges = {"cpu": {"value": 1}, "0": {"name": "load", "value": 2}}

        assert ask(server, "POST", "/v1/metrics", {"gauges": gauges}).status == 200

        assert [(one.name, one.sum) for one in server.librato.samples] == [("cpu", 1), ("load", 2)]
        assert server.requests[0].measurements == (
            {"name": "cpu", "value": 1},
            {"name": "load", "value": 2},
        )

    def test_counters_are_rejected_but_an_empty_list_of_them_is_not(
        self, server: LocalSegment
    ) -> None:
        assert post(server, gauge(), counters=[]).status == 200
        assert set(params(post(server, gauge(), counters=[gauge()]))) == {"counters"}

    @pytest.mark.parametrize("name", ["a", "A.z:0-9_", "x" * 255, "all"])
    def test_names_that_are_taken(self, server: LocalSegment, name: str) -> None:
        assert post(server, gauge(name)).status == 200
        assert list(server.librato.metrics) == [name]

    @pytest.mark.parametrize(
        "name", ["", "x" * 256, "a b", "a/b", "é", "a\n", "\N{KELVIN SIGN}", "٣", None, 5, True, []]
    )
    def test_names_that_are_not(self, server: LocalSegment, name: object) -> None:
        assert set(params(post(server, gauge(name="ok"), {"name": name, "value": 1}))) == {"name"}
        assert server.librato.samples == []

    def test_a_gauge_without_a_name_is_rejected(self, server: LocalSegment) -> None:
        assert set(params(post(server, {"value": 1}))) == {"name"}

    @pytest.mark.parametrize("source", ["web-1", "77025", "a:b_c.d", "x" * 255, "allow"])
    def test_sources_that_are_taken(self, server: LocalSegment, source: str) -> None:
        assert post(server, gauge(source=source)).status == 200
        assert list(server.librato.points("cpu")) == [source]

    @pytest.mark.parametrize(
        "source", ["", "x" * 256, "web 1", "a\n", "é", "all", "All", "ALL", None, 5, ["web"]]
    )
    def test_sources_that_are_not(self, server: LocalSegment, source: object) -> None:
        assert set(params(post(server, gauge(source=source)))) == {"source"}
        assert set(params(post(server, gauge(source="ok"), source=source))) == {"source"}
        assert server.librato.samples == []

    def test_one_invalid_gauge_rejects_the_request_and_the_reason_names_it(
        self, server: LocalSegment
    ) -> None:
        response = post(server, gauge("fine"), gauge("secret", "payload"), gauge("fine"))

        assert params(response) == {"value": ["is not a number"]}
        assert server.requests[0].rejection == "measurement 1: value is not a number"
        assert server.requests[0].measurements == ()
        assert (server.librato.samples, server.librato.metrics) == ([], {})


class Form(NamedTuple):
    """One of the two forms of a request; the same rules for numbers and times bind both."""

    send: Callable[..., Response]
    single: Callable[..., dict[str, Any]]
    multiple: Callable[..., dict[str, Any]]
    time_field: str


FORMS = {
    "legacy": Form(post, gauge, summary, "measure_time"),
    "tagged": Form(post_tagged, tagged, partial(summary, tags={"source": "web"}), "time"),
}


@pytest.mark.parametrize("form", FORMS)
class TestNumbers:
    @pytest.mark.parametrize(
        "value",
        ["1", True, False, None, [1], {"n": 1}, 1.0001e126, -1.0001e126, 10**126 + 1, 10**400],
        ids=lambda value: str(value)[:12],
    )
    def test_values_that_are_no_numbers_or_too_large_are_rejected(
        self, server: LocalSegment, form: str, value: object
    ) -> None:
        send, single, multiple, _ = FORMS[form]
        assert set(params(send(server, single(value=value)))) == {"value"}
        for field in ("count", "sum", "min", "max"):
            assert set(params(send(server, multiple(**{field: value})))) == {field}
        assert server.librato.samples == []

    @pytest.mark.parametrize(
        "value", [0, -1, 0.1, 1e126, -1e126, 10**126, -(10**126), 2**63, 1e-130, -1e-130]
    )
    def test_numbers_within_the_bounds_are_kept_as_they_are(
        self, server: LocalSegment, form: str, value: float
    ) -> None:
        send, single, _, _ = FORMS[form]
        assert send(server, single(value=value)).status in {200, 202}
        (sample,) = server.librato.samples
        assert (sample.count, sample.sum, sample.min, sample.max) == (1, value, value, value)
        assert sample.sum_squares == value * value

    @pytest.mark.parametrize("value", [9.99e-131, -9.99e-131, 5e-324])
    def test_numbers_next_to_zero_are_zero(
        self, server: LocalSegment, form: str, value: float
    ) -> None:
        send, single, multiple, _ = FORMS[form]
        send(server, single(value=value), multiple(sum=value))
        assert [sample.sum for sample in server.librato.samples] == [0, 0]

    @pytest.mark.parametrize("count", [0, -1, 1.0, 2.5, "2"])
    def test_a_count_is_an_integer_of_one_or_more(
        self, server: LocalSegment, form: str, count: object
    ) -> None:
        send, _, multiple, _ = FORMS[form]
        assert set(params(send(server, multiple(count=count)))) == {"count"}

    @pytest.mark.parametrize("missing", ["count", "sum"])
    def test_count_and_sum_need_each_other(
        self, server: LocalSegment, form: str, missing: str
    ) -> None:
        send, _, multiple, _ = FORMS[form]
        item = multiple(min=1, max=2)
        del item[missing]
        assert params(send(server, item)) == {missing: ["is required"]}

    def test_a_measurement_needs_a_value(self, server: LocalSegment, form: str) -> None:
        send, single, _, _ = FORMS[form]
        item = single()
        del item["value"]
        assert params(send(server, item)) == {"value": ["is required"]}

    @pytest.mark.parametrize("field", ["count", "sum", "min", "max"])
    def test_a_value_excludes_a_summary(self, server: LocalSegment, form: str, field: str) -> None:
        send, single, _, _ = FORMS[form]
        assert set(params(send(server, single(**{field: 1})))) == {"value"}

    @pytest.mark.parametrize("offset", [-HOUR * 2 + 30, 0, HOUR * 2 - 30])
    def test_times_within_two_hours_are_taken(
        self, server: LocalSegment, form: str, offset: int
    ) -> None:
        send, single, _, field = FORMS[form]
        measure_time = int(time.time()) + offset
        send(server, single(**{field: measure_time}))
        assert server.librato.samples[0].measure_time == measure_time

    @pytest.mark.parametrize(
        "offset, problem",
        [
            (-HOUR * 2 - 1, "is too far in the past"),
            (HOUR * 2 + 30, "is too far in the future"),
            (HOUR * 24 * 365 * 1000, "is too far in the future"),
        ],
    )
    def test_times_beyond_two_hours_are_rejected(
        self, server: LocalSegment, form: str, offset: int, problem: str
    ) -> None:
        send, single, _, field = FORMS[form]
        measure_time = {field: int(time.time()) + offset}
        assert params(send(server, single(**measure_time))) == {field: [problem]}
        assert params(send(server, single(), **measure_time)) == {field: [problem]}

    def test_the_bounds_of_time_are_exact(
        self, server: LocalSegment, form: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        send, single, _, field = FORMS[form]
        monkeypatch.setattr(time, "time", lambda: 1_000_000.9)
        statuses = [
            send(server, single(**{field: 1_000_000 + offset})).status
            for offset in (-7201, -7200, 7200, 7201)
        ]
        assert [status < 300 for status in statuses] == [False, True, True, False]

    @pytest.mark.parametrize("measure_time", ["now", "1", None, True, 1.5, [], {}])
    def test_a_time_is_an_integer(
        self, server: LocalSegment, form: str, measure_time: object
    ) -> None:
        send, single, _, field = FORMS[form]
        assert params(send(server, single(**{field: measure_time}))) == {
            field: ["is not an integer"]
        }
        float_time = {field: float(int(time.time()))}
        assert set(params(send(server, single(**float_time)))) == {field}

    @pytest.mark.parametrize(
        "field, value",
        [
            ("period", 0),
            ("period", -60),
            ("period", 60.0),
            ("period", "60"),
            ("period", True),
            ("period", None),
            ("attributes", []),
            ("attributes", None),
            ("attributes", {"aggregate": "true"}),
            ("attributes", {"aggregate": 1}),
            ("attributes", {"aggregate": None}),
            ("attributes", {"summarize_function": "median"}),
            ("attributes", {"summarize_function": ["sum"]}),
            ("attributes", {"summarize_function": None}),
            ("display_name", 5),
            ("description", ["text"]),
        ],
    )
    def test_properties_that_are_wrong_reject_the_request_everywhere(
        self, server: LocalSegment, form: str, field: str, value: object
    ) -> None:
        send, single, _, _ = FORMS[form]
        assert set(params(send(server, single(), single(**{field: value})))) == {field}
        assert server.librato.metrics == {}
        assert set(params(put(server, "cpu", type="gauge", **{field: value}))) == {field}
        assert server.librato.metrics == {}


class TestTaggedMeasurements:
    def test_a_value_is_accepted_and_counted(self, server: LocalSegment) -> None:
        now = period_start()

        response = post_tagged(server, tagged(value=2, time=now), tagged("load", 3, time=now))

        assert response.status == 202
        assert response.json == {
            "measurements": {"summary": {"total": 2, "accepted": 2, "failed": 0, "filtered": 0}}
        }
        assert server.librato.samples == [
            Sample("cpu", "web", now, 1, 2, 2, 2, 4),
            Sample("load", "web", now, 1, 3, 3, 3, 9),
        ]

    def test_a_summary_may_tell_more_than_is_kept(self, server: LocalSegment) -> None:
        now = period_start()
        item = summary(min=1, max=2, last=2, stddev=0.5, time=now, tags={"region": "eu"})

        assert post_tagged(server, item).status == 202
        assert server.librato.samples == [Sample("cpu", "", now, 2, 3, 1, 2, None)]

    @pytest.mark.parametrize("field", ["last", "stddev", "stddev_m2"])
    def test_the_additional_numbers_are_numbers(self, server: LocalSegment, field: str) -> None:
        item = summary(tags={"a": "b"}, **{field: "1"})
        assert set(params(post_tagged(server, item))) == {field}
        assert set(params(post_tagged(server, {**tagged(), field: 1}))) == {"value"}

    def test_only_one_standard_deviation_is_taken(self, server: LocalSegment) -> None:
        item = summary(tags={"a": "b"}, stddev=1, stddev_m2=1)
        assert set(params(post_tagged(server, item))) == {"stddev"}

    def test_tags_of_the_measurement_go_before_those_of_the_body_whatever_their_case(
        self, server: LocalSegment
    ) -> None:
        items = [tagged(tags={"SOURCE": "Own"}), tagged(tags={"region": "EU"}), {**tagged()}]
        del items[2]["tags"]

        post_tagged(server, *items, tags={"Source": "Shared 1"})

        sources = [sample.source for sample in server.librato.samples]
        assert sources == ["own", "shared 1", "shared 1"]

    def test_null_unsets_a_tag(self, server: LocalSegment) -> None:
        unset = tagged(tags={"Source": None, "region": "eu"})
        assert post_tagged(server, unset, tags={"source": "web"}).status == 202
        assert server.librato.samples[0].source == ""

    @pytest.mark.parametrize(
        "own, shared",
        [
            ({}, {}),
            ({"source": None}, {}),
            ({}, {"source": None}),
            ({"source": None}, {"SOURCE": "web"}),
        ],
    )
    def test_a_measurement_needs_a_tag(
        self, server: LocalSegment, own: object, shared: object
    ) -> None:
        assert params(post_tagged(server, tagged(tags=own), tags=shared)) == {
            "tags": ["is required"]
        }

    @pytest.mark.parametrize(
        "tags",
        [
            {"x" * 64: "v"},
            {"a-.:_9": "v"},
            {"a": "v" * 255},
            {"a": "two words"},
            {"a": "all"},
            {"source": "ALL"},
        ],
    )
    def test_tags_that_are_taken(self, server: LocalSegment, tags: object) -> None:
        assert post_tagged(server, tagged(tags=tags)).status == 202

    @pytest.mark.parametrize(
        "tags",
        [
            {"": "v"},
            {"x" * 65: "v"},
            {"two words": "v"},
            {"é": "v"},
            {"a\n": "v"},
            {"a": ""},
            {"a": "v" * 256},
            {"a": "é"},
            {"a": "v\n"},
            {"a": "v\t"},
            {"a": "x/y"},
            {"a": 5},
            {"a": True},
            {"a": ["v"]},
            [],
            None,
            "a",
        ],
        ids=str,
    )
    def test_tags_that_are_not(self, server: LocalSegment, tags: object) -> None:
        assert set(params(post_tagged(server, tagged(tags=tags)))) == {"tags"}
        assert set(params(post_tagged(server, tagged(), tags=tags))) == {"tags"}
        assert server.librato.samples == []

    def test_time_and_period_of_the_body_are_defaults(self, server: LocalSegment) -> None:
        now = period_start()

        post_tagged(server, tagged("a"), tagged("b", time=now - 1, period=10), time=now, period=30)

        assert [one.measure_time for one in server.librato.samples] == [now, now - 1]
        assert [one["period"] for one in server.librato.metrics.values()] == [30, 10]

    def test_a_wrong_period_of_the_body_rejects_it(self, server: LocalSegment) -> None:
        assert set(params(post_tagged(server, tagged(period=60), period=0))) == {"period"}


class TestProperties:
    def test_a_metric_is_created_by_its_first_measurement_with_its_properties(
        self, server: LocalSegment
    ) -> None:
        post(
            server,
            gauge(period=10, attributes={"aggregate": True}, display_name="CPU"),
            gauge(period=20, description="ignored, as the metric is there"),
            gauge("plain"),
        )
        post_tagged(server, tagged("CPU", period=30, attributes={"aggregate": False}))

        assert server.librato.metrics == {
            "cpu": {
                "name": "cpu",
                "display_name": "CPU",
                "description": None,
                "type": "gauge",
                "period": 10,
                "attributes": {"aggregate": True},
            },
            "plain": {
                "name": "plain",
                "display_name": None,
                "description": None,
                "type": "gauge",
                "period": None,
                "attributes": {},
            },
        }

    def test_put_creates_a_metric_if_it_has_a_type(self, server: LocalSegment) -> None:
        assert put(server, "Queue_len", period=15).status == 404
        assert server.librato.metrics == {}

        response = put(server, "Queue_len", type="gauge", period=15, attributes={"color": "#fff"})

        assert response.status == 201
        assert response.headers["Location"] == "/v1/metrics/Queue_len"
        assert response.json == server.librato.metrics["Queue_len"]
        assert response.json["period"] == 15
        assert response.json["attributes"] == {"color": "#fff"}

    def test_put_changes_what_it_names_and_merges_attributes(self, server: LocalSegment) -> None:
        put(server, "cpu", type="gauge", period=15, attributes={"a": 1, "aggregate": True})

        response = put(
            server, "CPU", type="gauge", display_name="Load", attributes={"a": None, "b": 2}
        )

        assert (response.status, response.json) == (204, None)
        assert server.librato.metrics == {
            "cpu": {
                "name": "cpu",
                "display_name": "Load",
                "description": None,
                "type": "gauge",
                "period": 15,
                "attributes": {"a": None, "aggregate": True, "b": 2},
            }
        }

    @pytest.mark.parametrize("function", ["average", "sum", "count", "min", "max"])
    def test_the_functions_that_summarize(self, server: LocalSegment, function: str) -> None:
        post(server, gauge())
        assert put(server, "cpu", attributes={"summarize_function": function}).status == 204

    @pytest.mark.parametrize("metric_type", ["counter", "composite", None, 5])
    def test_only_gauges_can_be_created(self, server: LocalSegment, metric_type: object) -> None:
        assert set(params(put(server, "cpu", type=metric_type))) == {"type"}

    def test_a_name_may_be_percent_encoded_and_must_be_one(self, server: LocalSegment) -> None:
        assert put(server, "a%3Ab", type="gauge").status == 201
        assert list(server.librato.metrics) == ["a:b"]
        assert get(server, "a%3ab?x=1").json["name"] == "a:b"
        for name in ("a%20b", "a/b", "%0D%0AX-Evil:1", "", "x" * 256):
            assert set(params(put(server, name, type="gauge"))) == {"name"}

    @pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b"null"])
    def test_properties_are_an_object(self, server: LocalSegment, body: bytes) -> None:
        response = ask(server, "PUT", "/v1/metrics/cpu", body)
        assert response.status == 400
        assert request_errors(response)

    def test_what_is_read_is_a_copy(self, server: LocalSegment) -> None:
        post(server, gauge(attributes={"nested": {"a": 1}}))
        server.librato.metrics["cpu"]["attributes"]["nested"]["a"] = 2
        server.librato.samples.clear()
        server.librato.warnings.append("mine")

        assert server.librato.metrics["cpu"]["attributes"] == {"nested": {"a": 1}}
        assert len(server.librato.samples) == 1
        assert server.librato.warnings == []


class TestPoints:
    def test_every_measurement_is_a_point_in_the_order_of_time(self, server: LocalSegment) -> None:
        now = period_start()
        post(server, gauge(value=1, measure_time=now + 1), gauge(value=2, measure_time=now))
        post(server, gauge(value=3, measure_time=now), gauge("other", measure_time=now))

        points = server.librato.points("cpu")

        assert points == {
            "": [
                Point(now, 1, 2, 2, 2, 4),
                Point(now, 1, 3, 3, 3, 9),
                Point(now + 1, 1, 1, 1, 1, 1),
            ]
        }
        assert [point.value for point in points[""]] == [2, 3, 1]

    def test_names_and_sources_ignore_case_and_keep_their_first_spelling(
        self, server: LocalSegment
    ) -> None:
        post(server, gauge("Cpu", source="Web"), gauge("cPU", source="wEB"))

        assert [sample.name for sample in server.librato.samples] == ["Cpu", "cPU"]
        assert list(server.librato.metrics) == ["Cpu"]
        points = server.librato.points("CPU")
        assert {source: len(of_source) for source, of_source in points.items()} == {"Web": 2}
        assert get(server, "CPU").json["name"] == "Cpu"

    def test_an_unknown_metric_and_one_without_samples_have_no_points(
        self, server: LocalSegment
    ) -> None:
        put(server, "cpu", type="gauge")
        assert server.librato.points("cpu") == server.librato.points("unknown") == {}

    def test_an_aggregating_metric_shows_one_point_for_a_period_of_a_source(
        self, server: LocalSegment
    ) -> None:
        start = period_start()
        put(server, "cpu", type="gauge", attributes={"aggregate": True})
        post(
            server,
            gauge(value=4, measure_time=start + 59, source="web"),
            gauge(value=1, measure_time=start, source="WEB"),
            summary(min=-1, max=9, sum_squares=10, measure_time=start + 30, source="web"),
            gauge(value=7, measure_time=start + 60, source="web"),
            gauge(value=7, measure_time=start - 1, source="web"),
            gauge(value=8, measure_time=start + 1, source="db"),
        )

        assert server.librato.points("cpu") == {
            "web": [
                Point(start - 60, 1, 7, 7, 7, 49),
                Point(start, 4, 8, -1, 9, 27),
                Point(start + 60, 1, 7, 7, 7, 49),
            ],
            "db": [Point(start, 1, 8, 8, 8, 64)],
        }
        assert len(server.librato.samples) == 6

    def test_a_point_does_not_tell_what_one_of_its_samples_does_not(
        self, server: LocalSegment
    ) -> None:
        start = period_start()
        put(server, "cpu", type="gauge", attributes={"aggregate": True})
        post(server, gauge(value=4), summary(), measure_time=start)

        assert server.librato.points("cpu") == {"": [Point(start, 3, 7, None, None, None)]}

    def test_aggregation_can_be_switched_and_its_period_changed_at_any_time(
        self, server: LocalSegment
    ) -> None:
        start = period_start(600)
        times = [start, start + 70, start + 599]
        post(server, *(gauge(measure_time=one) for one in times))

        def shown() -> list[int]:
            return [point.measure_time for point in server.librato.points("cpu")[""]]

        assert shown() == times
        put(server, "cpu", attributes={"aggregate": True})
        assert shown() == [start, start + 60, start + 540]
        put(server, "cpu", period=600)
        assert shown() == [start]
        post(server, gauge(period=1, attributes={"aggregate": False}, measure_time=start))
        assert shown() == [start]
        put(server, "cpu", attributes={"aggregate": False})
        assert shown() == [start, *times]

    def test_sums_are_exact(self, server: LocalSegment) -> None:
        start = period_start()
        values = [1e100, 0.1, 1, -1e100, 0.2, 1e-100] * 5
        attributes = {"aggregate": True}
        post(
            server,
            *(gauge(value=value, attributes=attributes) for value in values),
            measure_time=start,
        )

        (point,) = server.librato.points("cpu")[""]

        assert point.sum == math.fsum(values)
        assert point.sum_squares == math.fsum(value * value for value in values)
        assert point.value == math.fsum(values) / 30

    def test_a_metric_is_shown_with_its_points(self, server: LocalSegment) -> None:
        now = period_start()
        post(
            server,
            gauge(value=3, source="web", measure_time=now),
            summary(source="web", measure_time=now - 5),
            gauge(value=5, measure_time=now),
        )

        response = get(server, "cpu?resolution=60&count=4")

        assert response.status == 200
        assert response.json == {
            **server.librato.metrics["cpu"],
            "measurements": {
                "web": [
                    {
                        "measure_time": now - 5,
                        "value": 1.5,
                        "count": 2,
                        "sum": 3,
                        "min": None,
                        "max": None,
                        "sum_squares": None,
                    },
                    {
                        "measure_time": now,
                        "value": 3,
                        "count": 1,
                        "sum": 3,
                        "min": 3,
                        "max": 3,
                        "sum_squares": 9,
                    },
                ],
                "unassigned": [
                    {
                        "measure_time": now,
                        "value": 5,
                        "count": 1,
                        "sum": 5,
                        "min": 5,
                        "max": 5,
                        "sum_squares": 25,
                    }
                ],
            },
        }

    def test_a_metric_that_is_not_there_is_not_found(self, server: LocalSegment) -> None:
        response = get(server, "cpu")

        assert response.status == 404
        assert server.requests[0].rejection in request_errors(response)

    def test_all_metrics_are_listed(self, server: LocalSegment) -> None:
        post(server, gauge("a"), gauge("b"), gauge("A"))

        response = ask(server, "GET", "/v1/metrics", b"")

        query = {"found": 2, "length": 2, "offset": 0, "total": 2}
        metrics = list(server.librato.metrics.values())
        assert (response.status, response.json) == (200, {"query": query, "metrics": metrics})


class TestAsPartOfTheServer:
    def test_a_request_shows_its_measurements_as_sent(self, server: LocalSegment) -> None:
        first, second = gauge("a", value=1e-200, unknown="kept"), gauge("b")
        post(server, first, second, source="web")
        post_tagged(server, tagged())
        get(server, "a")

        assert [request.measurements for request in server.requests] == [
            (first, second),
            (tagged(),),
            (),
        ]
        assert {request.messages for request in server.requests} == {()}
        assert [request.status for request in server.requests] == [200, 202, 200]
        assert server.requests[0].size == server.requests[0].raw_size > 0
        assert "unknown" not in repr(server.requests)

    def test_a_scripted_error_has_the_form_of_the_api_that_was_asked(
        self, server: LocalSegment
    ) -> None:
        server.respond(503, times=5, headers={"Retry-After": "7"})
        body = {"type": "track", "userId": "u", "event": "e", "writeKey": "key"}

        segment = ask(server, "POST", "/v1/track", body)
        librato = [
            post(server, gauge()),
            post_tagged(server, tagged()),
            put(server, "cpu", type="gauge"),
            get(server, "cpu"),
        ]

        assert segment.json == {"code": "error", "message": "scripted"}
        for response in librato:
            assert (response.status, response.headers["Retry-After"]) == (503, "7")
            assert response.json == {"errors": {"request": ["scripted"]}}
        assert (server.messages, server.librato.samples, server.librato.metrics) == ([], [], {})

    def test_a_scripted_success_has_the_body_of_the_api_and_accepts(
        self, server: LocalSegment
    ) -> None:
        server.respond(200, times=None)

        assert post(server, gauge()).json is None
        assert post_tagged(server, tagged()).json["measurements"]["summary"]["accepted"] == 1
        assert get(server, "cpu").json["name"] == "cpu"
        assert put(server, "load", type="gauge").json["name"] == "load"
        assert len(server.librato.samples) == 2

    def test_a_scripted_body_is_sent_as_it_is(self, server: LocalSegment) -> None:
        server.respond(200, body=b'{"errors": {"params": {"name": "cpu"}}}', accept=False)

        assert post(server, gauge()).json == {"errors": {"params": {"name": "cpu"}}}
        assert server.librato.samples == []

    def test_requests_can_be_chosen_by_their_measurements(self, server: LocalSegment) -> None:
        server.respond(
            400,
            times=None,
            when=lambda request: any(one["name"] == "bad" for one in request.measurements),
        )

        assert post(server, gauge("good"), gauge("bad")).status == 400
        assert post_tagged(server, tagged("bad")).status == 400
        assert ask(server, "POST", "/v1/metrics", {"gauges": {"bad": {"value": 1}}}).status == 400
        assert post(server, gauge("good")).status == 200
        assert [sample.name for sample in server.librato.samples] == ["good"]

    def test_a_request_that_breaks_the_rules_uses_no_response_up(
        self, server: LocalSegment
    ) -> None:
        server.respond(503)
        assert post(server, gauge("")).status == 400
        assert post(server, gauge()).status == 503

    def test_a_lost_response_keeps_the_samples_and_a_retry_counts_twice(
        self, server: LocalSegment
    ) -> None:
        server.respond(None, accept=True)
        server.respond(504, accept=True)

        with pytest.raises(http.client.RemoteDisconnected):
            post(server, gauge())
        assert post(server, gauge()).status == 504
        assert post(server, gauge()).status == 200

        assert len(server.librato.samples) == 3
        assert [request.status for request in server.requests] == [None, 504, 200]

    def test_a_lost_response_to_a_change_of_properties_changes_them(
        self, server: LocalSegment
    ) -> None:
        server.respond(500, accept=True)
        assert put(server, "cpu", type="gauge", period=10).status == 500
        assert server.librato.metrics["cpu"]["period"] == 10

        server.respond(500, accept=True)
        assert put(server, "unknown", period=10).status == 500
        assert list(server.librato.metrics) == ["cpu"]

    def test_a_response_can_be_late_and_the_samples_are_there_before(
        self, server: LocalSegment
    ) -> None:
        server.respond(200, delay=600)

        def send() -> None:
            with suppress(OSError, http.client.HTTPException):
                post(server, gauge())

        sending = threading.Thread(target=send)
        sending.start()

        assert server.wait_until(lambda: len(server.librato.samples) == 1)
        server.close()
        sending.join()

    def test_held_requests_are_decided_after_their_release(self, server: LocalSegment) -> None:
        responses: list[Response] = []
        with server.hold():
            sending = threading.Thread(target=lambda: responses.append(get(server, "cpu")))
            sending.start()
            assert server.wait_until(lambda: server.held == 1)
            assert server.requests == []
            posting = threading.Thread(target=post, args=(server, gauge()))
            posting.start()
            assert server.wait_until(lambda: server.held == 2)
            assert server.librato.samples == []
        sending.join()
        posting.join()

        assert responses[0].status in {200, 404}  # whichever of the two went on first
        assert len(server.requests) == 2

    def test_messages_and_measurements_do_not_mix(self, server: LocalSegment) -> None:
        post(server, gauge())
        message = {"type": "track", "userId": "u", "event": "e"}
        ask(server, "POST", "/v1/batch", {"batch": [message], "writeKey": "key"})

        assert not server.wait_for(2, timeout=0)
        assert server.messages == [message]
        assert [one.name for one in server.measurements] == ["e"]
        assert [one.name for one in server.librato.samples] == ["cpu"]
        assert [len(request.measurements) for request in server.requests] == [1, 0]

    def test_clear_forgets_everything_and_what_was_closed_can_be_read(
        self, server: LocalSegment
    ) -> None:
        librato = server.librato
        post(server, *[gauge()] * 301)

        server.clear()

        assert (librato.samples, librato.metrics, librato.warnings) == ([], {}, [])
        assert (librato.points("cpu"), server.requests) == ({}, [])
        post(server, gauge("again"))
        server.close()
        assert [sample.name for sample in librato.samples] == ["again"]

    def test_more_measurements_than_advised_are_accepted_with_a_warning(
        self, server: LocalSegment
    ) -> None:
        assert post(server, *[gauge()] * 300).status == 200
        assert server.librato.warnings == []

        assert post(server, *[gauge()] * 301).status == 200
        assert post_tagged(server, *[tagged()] * 1_000).status == 202

        assert len(server.librato.samples) == 1_601
        assert [text.split()[0] for text in server.librato.warnings] == ["301", "1,000"]

    def test_a_request_that_is_not_accepted_leaves_no_warning(self, server: LocalSegment) -> None:
        server.respond(503)
        post(server, *[gauge()] * 301)
        assert server.librato.warnings == []

    def test_the_status_page_counts_samples(self, server: LocalSegment) -> None:
        post(server, gauge(), gauge())
        assert ask(server, "GET", "/", b"").json["samples"] == 2

    def test_the_observer_gets_the_samples_that_were_accepted(self) -> None:
        seen: list[tuple[int, object]] = []
        with LocalSegment(
            on_request=lambda request, accepted: seen.append((len(request.measurements), accepted))
        ) as server:
            post(server, gauge())
            server.respond(503)
            post(server, gauge(), gauge())
            get(server, "cpu")
            samples = server.librato.samples

        assert seen == [(1, tuple(samples)), (2, ()), (0, ())]

    def test_many_senders_lose_nothing_while_others_read(self, server: LocalSegment) -> None:
        start = period_start()
        put(server, "cpu", type="gauge", attributes={"aggregate": True})

        def send(sender: int) -> None:
            for number in range(10):
                post(server, *[gauge(value=number, source=f"s{sender}")] * 5, measure_time=start)

        senders = [threading.Thread(target=send, args=(number,)) for number in range(4)]
        for sender in senders:
            sender.start()
        while any(sender.is_alive() for sender in senders):
            for (point,) in server.librato.points("cpu").values():
                assert point.count % 5 == 0  # a request is seen whole or not at all

        assert server.librato.points("cpu") == {
            f"s{number}": [Point(start, 50, 225, 0, 9, 1_425)] for number in range(4)
        }


class TestCommandLine:
    @pytest.fixture
    def lines(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> list[str]:
        """What the command line shows of some requests, and at the end."""
        servers: list[LocalSegment] = []

        class RememberedServer(LocalSegment):
            def __init__(self, *arguments: Any, **options: Any) -> None:
                super().__init__(*arguments, **options)
                servers.append(self)

        def use_and_interrupt(_: float) -> None:
            (server,) = servers
            post(server, gauge(value=2, source="web-1"), summary(source="web-2"), gauge("plain"))
            post_tagged(server, tagged(value=0.5))
            post(server, gauge(value="payload"))
            post(server, *[gauge()] * 301)
            server.respond(503)
            post(server, gauge())
            get(server, "unknown")
            raise KeyboardInterrupt

        monkeypatch.setattr(command_line, "LocalSegment", RememberedServer)
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        monkeypatch.setattr(time, "sleep", use_and_interrupt)
        assert command_line.main(["--port", "0"]) == 0
        return capsys.readouterr().out.splitlines()[2:]

    def test_measurements_are_shown_like_mapped_ones(self, lines: list[str]) -> None:
        assert lines[0].split()[1:5] == ["POST", "/v1/metrics", "3", "measurements"]
        assert lines[0].endswith("  200")
        assert lines[1:4] == [
            "          cpu = 2  from web-1",
            "          cpu = 3 in 2 values  from web-2",
            "          plain = 1  from unassigned",
        ]
        assert lines[4].split()[1:5] == ["POST", "/v1/measurements", "1", "measurement"]
        assert lines[5] == "          cpu = 0.5  from web"

    def test_a_rejection_is_shown_with_its_reason(self, lines: list[str]) -> None:
        assert lines[6].endswith("400  measurement 0: value is not a number")
        assert lines[-3].endswith("404  there is no such metric")

    def test_a_request_larger_than_advised_is_pointed_out(self, lines: list[str]) -> None:
        assert lines[7].split()[1:5] == ["POST", "/v1/metrics", "301", "measurements"]
        (excess,) = [line for line in lines if "advised" in line]
        assert excess.strip() == "301 measurements in one request, more than the 300 advised"

    def test_the_summary_counts_them(self, lines: list[str]) -> None:
        assert lines[-1] == (
            "6 requests, 0 messages, 0 gauges, 305 measurements for Librato; "
            "0 duplicates, 0 dropped."
        )
