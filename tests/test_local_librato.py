"""The local Librato over real HTTP: what it takes and refuses, and what its graphs show."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from segment_librato.devserver import LocalSegment
from segment_librato.devserver.__main__ import _show_request

if TYPE_CHECKING:
    from collections.abc import Callable

    Call = Callable[..., requests.Response]

ACCOUNT = ("ada@example.com", "token")
LONG_NAME = "n" * 256


@pytest.fixture
def call(server: LocalSegment) -> Call:
    def make(
        method: str,
        path: str,
        content: object = None,
        auth: tuple[str, str] | None = ACCOUNT,
        **options: Any,
    ) -> requests.Response:
        if content is not None:
            options.setdefault("json", content)
        return requests.request(method, server.host + path, auth=auth, timeout=10, **options)

    return make


def post(call: Call, *gauges: Any, **shared: Any) -> requests.Response:
    return call("POST", "/v1/metrics", {"gauges": list(gauges), **shared})


def refusal(answer: requests.Response) -> Any:
    assert answer.status_code == 400
    return answer.json()["errors"]


def test_a_gauge_is_kept(server: LocalSegment, call: Call) -> None:
    now = int(time.time())
    gauge = {"name": "cpu", "value": 1.5, "source": "web-1", "measure_time": now}
    answer = post(call, gauge)
    assert (answer.status_code, answer.content) == (200, b"")
    [sample] = server.librato.samples
    assert (sample.name, sample.source, sample.measure_time) == ("cpu", "web-1", now)
    assert (sample.count, sample.sum, sample.min, sample.max) == (1, 1.5, 1.5, 1.5)
    assert (sample.sum_squares, sample.value) == (2.25, 1.5)
    assert server.requests[0].measurements == (gauge,)
    assert server.messages == []


def test_values_of_the_whole_body_are_those_of_each_gauge(server: LocalSegment, call: Call) -> None:
    now = int(time.time())
    shared = {"source": "all-of-them", "measure_time": now - 60}
    post(call, {"name": "a", "value": 1}, {"name": "b", "value": 2, "source": "own"}, **shared)
    assert [(s.source, s.measure_time) for s in server.librato.samples] == [
        ("all-of-them", now - 60),
        ("own", now - 60),
    ]


def test_gauges_may_be_an_object(server: LocalSegment, call: Call) -> None:
    gauges = {"login": {"value": 3.5}, "0": {"name": "cpu", "value": 1}}
    assert call("POST", "/v1/metrics", {"gauges": gauges}).status_code == 200
    assert [s.name for s in server.librato.samples] == ["login", "cpu"]


def test_a_gauge_without_a_time_is_of_its_receipt(server: LocalSegment, call: Call) -> None:
    began = int(time.time())
    post(call, {"name": "cpu", "value": 1})
    assert began <= server.librato.samples[0].measure_time <= time.time()


def test_several_samples_may_come_as_one(server: LocalSegment, call: Call) -> None:
    several = {"count": 4, "sum": 10, "min": 1, "max": 4, "sum_squares": 30}
    post(call, {"name": "cpu", **several}, {"name": "cpu", "count": 2, "sum": 3})
    first, second = server.librato.samples
    assert (first.count, first.sum, first.min, first.max, first.sum_squares) == (4, 10, 1, 4, 30)
    assert (second.min, second.max, second.value) == (1.5, 1.5, 1.5)


@pytest.mark.parametrize(
    "gauge, field",
    [
        ({"value": 1}, "name"),
        ({"name": "", "value": 1}, "name"),
        ({"name": LONG_NAME, "value": 1}, "name"),
        ({"name": "queue depth", "value": 1}, "name"),
        ({"name": "größe", "value": 1}, "name"),
        ({"name": 5, "value": 1}, "name"),
        ({"name": "cpu"}, "value"),
        ({"name": "cpu", "value": "1"}, "value"),
        ({"name": "cpu", "value": True}, "value"),
        ({"name": "cpu", "value": None}, "value"),
        ({"name": "cpu", "value": 1.1e126}, "value"),
        ({"name": "cpu", "value": -(10**127)}, "value"),
        ({"name": "cpu", "value": 1, "count": 1, "sum": 1}, "value"),
        ({"name": "cpu", "count": 1}, "sum"),
        ({"name": "cpu", "count": 0, "sum": 0}, "count"),
        ({"name": "cpu", "count": 1.5, "sum": 0}, "count"),
        ({"name": "cpu", "count": True, "sum": 0}, "count"),
        ({"name": "cpu", "count": 2, "sum": 0, "min": "0"}, "min"),
        ({"name": "cpu", "value": 1, "source": "all"}, "source"),
        ({"name": "cpu", "value": 1, "source": "ALL"}, "source"),
        ({"name": "cpu", "value": 1, "source": ""}, "source"),
        ({"name": "cpu", "value": 1, "source": "web 1"}, "source"),
        ({"name": "cpu", "value": 1, "source": LONG_NAME}, "source"),
        ({"name": "cpu", "value": 1, "measure_time": 1.5}, "measure_time"),
        ({"name": "cpu", "value": 1, "measure_time": "1"}, "measure_time"),
        ({"name": "cpu", "value": 1, "measure_time": 1_000_000_000}, "measure_time"),
        ({"name": "cpu", "value": 1, "measure_time": 9_000_000_000}, "measure_time"),
        ({"name": "cpu", "value": 1, "period": 0}, "period"),
        ({"name": "cpu", "value": 1, "attributes": []}, "attributes"),
        ({"name": "cpu", "value": 1, "attributes": {"aggregate": 1}}, "aggregate"),
        (
            {"name": "cpu", "value": 1, "attributes": {"summarize_function": "median"}},
            "summarize_function",
        ),
        ({"name": "cpu", "value": 1, "display_name": 1}, "display_name"),
    ],
)
def test_one_wrong_gauge_refuses_the_whole_request(
    server: LocalSegment, call: Call, gauge: Any, field: str
) -> None:
    errors = refusal(post(call, {"name": "good", "value": 1}, gauge))
    assert list(errors) == ["params"]
    assert list(errors["params"]) == [field]
    assert all(isinstance(text, str) for text in errors["params"][field])
    assert server.librato.samples == []
    assert server.librato.metrics == {}
    assert server.requests[0].refusal


@pytest.mark.parametrize("smallest", [1e-131, -1e-131])
def test_numbers_that_are_too_small_are_nothing(
    server: LocalSegment, call: Call, smallest: float
) -> None:
    post(call, {"name": "cpu", "value": smallest})
    assert server.librato.samples[0].sum == 0


@pytest.mark.parametrize(
    "body, kind",
    [
        (b"", "request"),
        (b"{", "request"),
        (b"[]", "request"),
        (b"{}", "request"),
        (b'{"gauges": []}', "request"),
        (b'{"gauges": 5}', "request"),
        (b'{"gauges": [5]}', "params"),
        (b'{"gauges": {"cpu": 5}}', "params"),
        (b'{"counters": [{"name": "a", "value": 1}]}', "params"),
        (b'{"gauges": [{"name": "a", "value": NaN}]}', "request"),
        (b"[" * 100_000, "request"),
    ],
)
def test_a_body_that_is_none_is_refused_in_the_words_of_this_api(
    call: Call, body: bytes, kind: str
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = call("POST", "/v1/metrics", data=body, headers=headers)
    assert list(refusal(answer)) == [kind]


@pytest.mark.parametrize(
    "path, auth, status",
    [
        ("/v1/metrics", None, 401),
        ("/v1/metrics", ("", "token"), 401),
        ("/v1/metrics", ("ada@example.com", ""), 401),
        ("/v1/measurements", None, 401),
        ("/v1/measurements", ("", ""), 401),
        ("/v1/measurements", ("token", ""), 400),
    ],
)
def test_an_account_is_asked_for(call: Call, path: str, auth: Any, status: int) -> None:
    answer = call("POST", path, {}, auth=auth)
    assert answer.status_code == status
    assert list(answer.json()) == ["errors"]


@pytest.mark.parametrize("header", ["Bearer abc", "Basic !!!", "Basic", "Basic /w=="])
def test_other_authorization_is_none(call: Call, header: str) -> None:
    answer = call("POST", "/v1/metrics", {}, auth=None, headers={"Authorization": header})
    assert answer.status_code == 401


def test_only_json_is_taken(call: Call) -> None:
    answer = call("POST", "/v1/metrics", data={"gauges[0][name]": "cpu"})
    assert answer.status_code == 415
    assert list(answer.json()["errors"]) == ["request"]


@pytest.mark.parametrize(
    "method, path",
    [("DELETE", "/v1/metrics"), ("PUT", "/v1/measurements"), ("POST", "/v1/metrics/cpu")],
)
def test_other_methods_are_refused(call: Call, method: str, path: str) -> None:
    assert call(method, path, {}).status_code == 405


class TestTaggedForm:
    def post(self, call: Call, *measurements: Any, **shared: Any) -> requests.Response:
        content = {"measurements": list(measurements), **shared}
        return call("POST", "/v1/measurements", content, auth=("token", ""))

    def test_the_source_is_a_tag(self, server: LocalSegment, call: Call) -> None:
        now = int(time.time())
        tags = {"source": "Web-1", "region": "eu"}
        answer = self.post(call, {"name": "cpu", "value": 1, "time": now, "tags": tags})
        assert answer.status_code == 202
        summary = answer.json()["measurements"]["summary"]
        assert (summary["total"], summary["accepted"], summary["failed"]) == (1, 1, 0)
        [sample] = server.librato.samples
        assert (sample.source, sample.measure_time) == ("web-1", now)

    def test_tags_are_merged(self, server: LocalSegment, call: Call) -> None:
        answer = self.post(
            call,
            {"name": "a", "value": 1},
            {"name": "b", "value": 1, "tags": {"source": "own"}},
            {"name": "c", "value": 1, "tags": {"source": None, "region": "eu"}},
            tags={"source": "shared"},
        )
        assert answer.status_code == 202
        assert [s.source for s in server.librato.samples] == ["shared", "own", ""]

    @pytest.mark.parametrize(
        "measurement, field",
        [
            ({}, "tags"),
            ({"tags": {}}, "tags"),
            ({"tags": []}, "tags"),
            ({"tags": {"source": 5}}, "tags"),
            ({"tags": {"source": ""}}, "tags"),
            ({"tags": {"source": LONG_NAME}}, "tags"),
            ({"tags": {"source": "a/b"}}, "tags"),
            ({"tags": {"a b": "c"}}, "tags"),
            ({"tags": {"n" * 65: "c"}}, "tags"),
            ({"tags": {"source": "a"}, "time": 1}, "time"),
            ({"tags": {"source": "a"}, "value": "1"}, "value"),
        ],
    )
    def test_wrong_ones_are_refused(self, call: Call, measurement: Any, field: str) -> None:
        errors = refusal(self.post(call, {"name": "cpu", "value": 1, **measurement}))
        assert list(errors["params"]) == [field]


class TestMetric:
    def test_is_made_by_a_measurement_whose_properties_count(
        self, server: LocalSegment, call: Call
    ) -> None:
        post(call, {"name": "CPU", "value": 1, "period": 30, "attributes": {"aggregate": True}})
        post(call, {"name": "cpu", "value": 2, "period": 90, "attributes": {"aggregate": False}})
        assert server.librato.metrics == {
            "CPU": {
                "name": "CPU",
                "type": "gauge",
                "period": 30,
                "attributes": {"aggregate": True},
            }
        }

    def test_is_made_and_changed_by_a_put(self, server: LocalSegment, call: Call) -> None:
        made = call("PUT", "/v1/metrics/cpu", {"type": "gauge", "period": 60})
        assert (made.status_code, made.headers["Location"]) == (201, "/v1/metrics/cpu")
        assert made.json()["period"] == 60
        attributes = {"summarize_function": "sum"}
        changed = call("PUT", "/v1/metrics/CPU", {"attributes": attributes, "display_name": "C"})
        assert (changed.status_code, changed.content) == (204, b"")
        call("PUT", "/v1/metrics/cpu", {"attributes": {"aggregate": True}})
        metric = server.librato.metrics["cpu"]
        assert (metric["period"], metric["display_name"]) == (60, "C")
        assert metric["attributes"] == {"summarize_function": "sum", "aggregate": True}

    def test_needs_a_type_to_be_made(self, call: Call) -> None:
        assert call("PUT", "/v1/metrics/cpu", {"period": 60}).status_code == 404

    @pytest.mark.parametrize(
        "name, settings", [("cpu", {"period": "60"}), ("a%20b", {}), ("cpu", [])]
    )
    def test_refuses_wrong_settings(self, call: Call, name: str, settings: Any) -> None:
        answer = call("PUT", f"/v1/metrics/{name}", settings)
        assert answer.status_code == 400
        assert list(answer.json()) == ["errors"]

    def test_can_be_looked_up(self, call: Call) -> None:
        now = int(time.time())
        for value in (1, 3):
            gauge = {"name": "cpu", "value": value, "source": "web-1", "measure_time": now}
            post(call, gauge)
        found = call("GET", "/v1/metrics/cpu?count=2&resolution=60").json()
        assert found["name"] == "cpu"
        assert [point["value"] for point in found["measurements"]["web-1"]] == [1, 3]
        assert call("GET", "/v1/metrics").json()["query"]["found"] == 1
        assert call("GET", "/v1/metrics/other").status_code == 404


class TestAggregation:
    def test_makes_one_point_of_a_source_and_a_period(
        self, server: LocalSegment, call: Call
    ) -> None:
        start = int(time.time()) // 60 * 60 - 300
        attributes = {"aggregate": True}
        for source, second, value in [
            ("a", 0, 0.1),
            ("a", 59, 0.2),
            ("b", 30, 5),
            ("a", 60, 7),
            ("a", 20, 0.3),
        ]:
            at = start + second
            gauge = {"name": "cpu", "value": value, "source": source, "measure_time": at}
            post(call, {**gauge, "attributes": attributes})
        points = server.librato.points("CPU")
        assert {
            source: [(p.measure_time - start, p.count, p.sum, p.min, p.max) for p in of_source]
            for source, of_source in points.items()
        } == {"a": [(0, 3, 0.6, 0.1, 0.3), (60, 1, 7, 7, 7)], "b": [(0, 1, 5, 5, 5)]}

    def test_goes_by_the_period_of_the_metric(self, server: LocalSegment, call: Call) -> None:
        call(
            "PUT",
            "/v1/metrics/cpu",
            {"type": "gauge", "period": 10, "attributes": {"aggregate": True}},
        )
        start = int(time.time()) // 60 * 60 - 300
        for second in range(20):
            post(call, {"name": "cpu", "value": 1, "measure_time": start + second})
        assert [point.sum for point in server.librato.points("cpu")[""]] == [10, 10]

    def test_is_off_unless_it_is_asked_for(self, server: LocalSegment, call: Call) -> None:
        post(call, {"name": "cpu", "value": 1}, {"name": "cpu", "value": 2})
        assert [point.sum for point in server.librato.points("cpu")[""]] == [1, 2]
        assert server.librato.points("other") == {}


class TestScript:
    def test_a_fault_has_the_shape_of_this_api_and_keeps_nothing(
        self, server: LocalSegment, call: Call
    ) -> None:
        server.answer(500)
        answer = post(call, {"name": "cpu", "value": 1})
        assert (answer.status_code, answer.json()) == (500, {"errors": {"request": ["scripted"]}})
        assert server.librato.samples == []
        assert post(call, {"name": "cpu", "value": 1}).status_code == 200

    def test_a_lost_answer_keeps_the_samples(self, server: LocalSegment, call: Call) -> None:
        server.answer(503, accept=True)
        assert post(call, {"name": "cpu", "value": 1}).status_code == 503
        assert len(server.librato.samples) == 1

    def test_may_look_at_the_measurements(self, server: LocalSegment, call: Call) -> None:
        server.answer(400, body=b"x", when=lambda r: any(m["value"] > 1 for m in r.measurements))
        assert post(call, {"name": "cpu", "value": 1}).status_code == 200
        answer = post(call, {"name": "cpu", "value": 2})
        assert (answer.status_code, answer.content) == (400, b"x")

    def test_is_forgotten_with_everything_else(self, server: LocalSegment, call: Call) -> None:
        post(call, {"name": "cpu", "value": 1})
        server.clear()
        assert (server.librato.samples, server.librato.metrics) == ([], {})


def test_more_than_300_gauges_are_taken_with_a_warning(server: LocalSegment, call: Call) -> None:
    for count in (300, 301):
        assert post(call, *[{"name": "cpu", "value": 1}] * count).status_code == 200
    assert len(server.librato.samples) == 601
    assert server.librato.warnings == ["301 measurements in one request; 300 are advised"]


def test_the_command_line_shows_what_came_directly(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    with LocalSegment(on_request=_show_request) as server:
        for path, content in (
            ("/v1/metrics", {"gauges": [{"name": "cpu", "count": 2, "sum": 3, "source": "a"}]}),
            ("/v1/measurements", {"measurements": [{"name": "m", "value": 1, "tags": {"t": "x"}}]}),
            ("/v1/metrics", {"gauges": [{"name": "cpu", "value": 1}] * 301}),
            ("/v1/metrics", {"gauges": []}),
        ):
            data = json.dumps(content)
            headers = {"Content-Type": "application/json"}
            requests.post(server.host + path, data, headers=headers, auth=ACCOUNT, timeout=10)
    shown = capsys.readouterr().out
    assert "          cpu = 3 / 2  from a\n" in shown
    assert "          m = 1  from nowhere\n" in shown
    assert "1 gauge " in shown
    assert "more than the 300 that are advised" in shown
    assert "there are no gauges" in shown
