"""Gauges: what of events and of direct delivery a chart shows, with Librato's display options."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from support.debugger import ask, get
from support.local_server import batch, post, track

from segment_librato import Client, LibratoConfig
from segment_librato.devserver.demo.plan import EVENT, WEB_SERVERS
from segment_librato.devserver.librato import store
from segment_librato.devserver.page import gauges, journal
from segment_librato.devserver.page.charts import MAX_LINES, Bucket, Display, draw

if TYPE_CHECKING:
    from segment_librato.devserver.page.debugger import Debugger

pytestmark = pytest.mark.once

SOURCES = [server.source for server in WEB_SERVERS]


def measure(
    debugger: Debugger, at: float, value: float, source: str = "s", name: str = "g"
) -> None:
    message = track(
        event=name, properties={"value": value}, timestamp=at, context={"source": source}
    )
    assert post(debugger.server, batch(message))[0] == 200


def lines(debugger: Debugger, name: str = "g", **query: object) -> dict[str, Any]:
    chart = get(debugger, f"/gauges/{name}", **query)
    return {line["source"]: line["points"] for line in chart["lines"]}


@pytest.fixture
def minute() -> int:
    """Return the start of a minute that is over."""
    return int(time.time()) // 60 * 60 - 120


class TestTheWebServersOfTheDocumentation:
    def track(self, client: Client, began: int) -> None:
        for server in WEB_SERVERS:
            for second, value in enumerate(server.values):
                client.track(
                    server.user_id,
                    EVENT,
                    {"value": value},
                    context={"Librato": {"source": server.source}},
                    timestamp=began + second,
                )
        assert client.flush(20)

    def test_each_is_a_line_with_its_shape(
        self, debugger: Debugger, client: Client, minute: int
    ) -> None:
        self.track(client, minute)

        drawn = lines(debugger, EVENT, seconds=300)

        assert drawn == {
            server.source: [[minute + second, value] for second, value in enumerate(server.values)]
            for server in WEB_SERVERS
        }

    @pytest.mark.parametrize("summarize", ["sum", "average"])
    def test_with_source_aggregation_each_minute_is_a_point(
        self, debugger: Debugger, client: Client, minute: int, summarize: str
    ) -> None:
        self.track(client, minute - 30)  # half of the values in each of two minutes

        drawn = lines(debugger, EVENT, period=60, aggregate=1, summarize=summarize)

        parts = 1 if summarize == "sum" else 30
        assert drawn == {
            server.source: [
                [minute - 60, pytest.approx(sum(server.values[:30]) / parts)],
                [minute, pytest.approx(sum(server.values[30:]) / parts)],
            ]
            for server in WEB_SERVERS
        }

    def test_the_gauge_is_listed(self, debugger: Debugger, client: Client, minute: int) -> None:
        self.track(client, minute)

        (gauge,) = get(debugger, "/gauges")
        assert gauge == {
            "name": EVENT,
            "sources": SOURCES,
            "count": 240,
            "first": minute,
            "last": minute + 59,
            "value": WEB_SERVERS[-1].values[-1],
            "origin": "events",
            "display": None,
        }

    def test_delivered_directly_they_look_the_same(self, debugger: Debugger, minute: int) -> None:
        account = LibratoConfig("ada@example.com", "token", debugger.host)
        with Client(None, gauges=account) as client:
            self.track(client, minute)

        assert set(lines(debugger, EVENT, seconds=300, aggregate=0)) == set(SOURCES)
        (gauge,) = get(debugger, "/gauges")
        assert (gauge["origin"], gauge["count"], gauge["sources"]) == ("direct", 240, SOURCES)


class TestOrigins:
    def test_what_comes_both_ways_is_one_gauge(self, debugger: Debugger, minute: int) -> None:
        measure(debugger, minute, 1)
        account = LibratoConfig("ada@example.com", "token", debugger.host)
        with Client(None, gauges=account) as client:
            client.gauge("G", 2, source="other", timestamp=minute)

        (gauge,) = get(debugger, "/gauges")
        assert (gauge["name"], gauge["origin"], gauge["count"]) == ("g", "both", 2)
        assert lines(debugger, "G", aggregate=0) == {"other": [[minute, 2]], "s": [[minute, 1]]}

    def test_an_aggregate_counts_as_many_values(self, debugger: Debugger, minute: int) -> None:
        account = LibratoConfig("ada@example.com", "token", debugger.host)
        with Client(None, gauges=account) as client:
            gauge = {"name": "g", "source": "s", "count": 4, "sum": 10, "measure_time": minute}
            basic = {"Authorization": "Basic YTpi", "Content-Type": "application/json"}
            post(debugger.server, {"gauges": [gauge]}, path="/v1/metrics", headers=basic)
            client.gauge("g", 0, source="s", timestamp=minute + 1)

        assert lines(debugger, period=60, aggregate=1) == {"s": [[minute, 2]]}
        assert lines(debugger, period=60, aggregate=1, summarize="sum") == {"s": [[minute, 10]]}

    def test_numbers_beyond_64_bits_are_drawn(self, debugger: Debugger, minute: int) -> None:
        basic = {"Authorization": "Basic YTpi", "Content-Type": "application/json"}
        gauge = {"name": "g", "source": "s", "measure_time": minute}
        body = {
            "gauges": [{**gauge, "value": 10**30}, {**gauge, "count": 10**20, "sum": 10**30}] * 2
        }
        assert post(debugger.server, body, path="/v1/metrics", headers=basic)[0] == 200

        assert lines(debugger, summarize="sum") == {"s": [[minute, pytest.approx(4e30)]]}
        assert get(debugger, "/gauges")[0]["count"] == 4

    def test_a_rejected_measurement_is_none(self, debugger: Debugger) -> None:
        basic = {"Authorization": "Basic YTpi", "Content-Type": "application/json"}
        body = {"gauges": [{"name": "g"}]}
        assert post(debugger.server, body, path="/v1/metrics", headers=basic)[0] == 400

        assert get(debugger, "/gauges") == []
        assert get(debugger, "/requests")["requests"][0]["rejection"]

    def test_names_of_gauges_are_quoted_in_a_path(self, debugger: Debugger, minute: int) -> None:
        measure(debugger, minute, 1, name="100 % / ä")

        assert [gauge["name"] for gauge in get(debugger, "/gauges")] == ["100------"]
        assert get(debugger, "/gauges/100-%2D----")["name"] == "100------"

    @pytest.mark.parametrize("name", ["other", "", "g/", "%00"])
    def test_an_unknown_gauge_is_404(self, debugger: Debugger, name: str, minute: int) -> None:
        measure(debugger, minute, 1)

        assert ask(debugger, f"/gauges/{name}").status == 404


class TestDisplayOptions:
    def configure(self, debugger: Debugger, **options: Any) -> None:
        account = LibratoConfig("ada@example.com", "token", debugger.host)
        with Client(None, gauges=account) as client:
            client.configure_gauge("g", **options)

    def test_those_of_the_gauge_are_the_default(self, debugger: Debugger, minute: int) -> None:
        options = {"period": 10, "summarize": "sum", "aggregate": True, "display_name": "G"}
        self.configure(debugger, **options)
        measure(debugger, minute, 1)
        measure(debugger, minute + 9, 2)

        assert get(debugger, "/gauges")[0]["display"] == options
        chart = get(debugger, "/gauges/g")
        assert (chart["period"], chart["aggregate"], chart["summarize"]) == (10, True, "sum")
        assert lines(debugger) == {"s": [[minute, 3]]}
        assert lines(debugger, aggregate=0) == {"s": [[minute, 1], [minute + 9, 2]]}

    def test_those_of_the_first_measurement_count(self, debugger: Debugger, minute: int) -> None:
        account = LibratoConfig("ada@example.com", "token", debugger.host, period=30)
        with Client(None, gauges=account) as client:
            client.gauge("g", 1, source="s", timestamp=minute)

        display = get(debugger, "/gauges")[0]["display"]
        assert (display["period"], display["aggregate"]) == (30, True)

    def test_a_period_beyond_a_day_is_a_day(self, debugger: Debugger, minute: int) -> None:
        basic = {"Authorization": "Basic YTpi", "Content-Type": "application/json"}
        options = {"type": "gauge", "period": 10**30, "attributes": {"aggregate": True}}
        options["display_name"] = "x" * 5_000
        answer = post(debugger.server, options, path="/v1/metrics/g", method="PUT", headers=basic)
        assert answer[0] == 201
        measure(debugger, minute, 1)

        assert get(debugger, "/gauges/g")["period"] == 86_400
        assert get(debugger, "/gauges")[0]["display"]["display_name"] == "x" * 1_000

    def test_those_of_many_gauges_are_kept_in_one_go(
        self, debugger: Debugger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(journal, "MAX_DISPLAYS", 10)
        monkeypatch.setattr(store, "LIMITED_METRICS", 10)
        monkeypatch.setattr(gauges, "MAX_GAUGES", 10)
        put = debugger.journal.put_displays
        puts: list[object] = []

        def count(displays: dict[str, Any]) -> None:
            puts.append(displays)
            put(displays)

        monkeypatch.setattr(debugger.journal, "put_displays", count)
        basic = {"Authorization": "Basic YTpi", "Content-Type": "application/json"}
        sent = [{"name": f"g{number:02}", "value": 1, "period": 5} for number in range(30)]
        body = {"gauges": [*sent, sent[0]]}
        assert post(debugger.server, body, path="/v1/metrics", headers=basic)[0] == 200

        assert len(puts) == 1
        assert len(debugger.server.librato.metrics) == 10
        assert debugger.journal.select("SELECT count(*) FROM displays")[0][0] == 10
        listed = [gauge["name"] for gauge in get(debugger, "/gauges")]
        assert len(listed) == 10
        assert listed[0] == "g00"

    def test_without_any_measurements_are_points(self, debugger: Debugger, minute: int) -> None:
        measure(debugger, minute, 1)

        chart = get(debugger, "/gauges/g")
        assert (chart["period"], chart["aggregate"], chart["summarize"]) == (60, False, "average")

    @pytest.mark.parametrize(
        "query, text",
        [
            ("seconds=0", "seconds is not between 1 and "),
            ("period=0", "period is not between 1 and "),
            ("aggregate=yes", "aggregate is not one of 1, 0, true, false"),
            ("summarize=max", "summarize is not one of average, sum"),
            ("from=1", "unknown parameter 'from'"),
        ],
    )
    def test_a_wrong_one_says_so(
        self, debugger: Debugger, minute: int, query: str, text: str
    ) -> None:
        measure(debugger, minute, 1)

        answer = ask(debugger, f"/gauges/g?{query}")
        assert answer.status == 400
        assert answer.json["message"].startswith(text)

    def test_what_is_older_than_the_chart_is_not_drawn(
        self, debugger: Debugger, minute: int
    ) -> None:
        measure(debugger, minute - 7200, 1)
        measure(debugger, minute, 2)
        measure(debugger, minute + 90_000, 3)  # a clock that is wrong by a day

        assert lines(debugger, seconds=3600) == {"s": [[minute, 2]]}
        drawn = lines(debugger, seconds=86_400)["s"]
        assert [point for point in drawn if point[1] is not None] == [
            [minute - 7200, 1],
            [minute, 2],
        ]
        assert len(drawn) == 2 + 119


class TestDrawing:
    def points(self, display: Display, *buckets: tuple[float, float]) -> object:
        made = [Bucket("s", at // 1, at, 1, 1, value) for at, value in buckets]
        return draw(made, display)[0]["points"]

    def test_each_period_of_silence_has_no_value(self) -> None:
        display = Display(3600, 10, aggregate=False, summarize="average")
        drawn = self.points(display, (0, 1), (10, 2), (29, 3), (30, 4), (60, 5))
        assert drawn == [(0, 1), (10, 2), (29, 3), (30, 4), (40, None), (50, None), (60, 5)]

    @pytest.mark.parametrize(
        "seconds, period, aggregate, interval",
        [
            (300, 60, False, 1),
            (3600, 60, False, 3),
            (86_400, 60, False, 58),
            (300, 60, True, 60),
            (86_400, 60, True, 60),
            (7 * 86_400, 60, True, 420),
            (86_400, 7, True, 63),
        ],
    )
    def test_a_line_has_no_more_than_1500_points(
        self, seconds: int, period: int, aggregate: bool, interval: int
    ) -> None:
        display = Display(seconds, period, aggregate=aggregate, summarize="sum")
        assert display.interval == interval
        assert seconds / interval <= 1500

    def test_sources_that_differ_in_case_are_one_line(self) -> None:
        display = Display(300, 60, aggregate=False, summarize="average")
        drawn = draw([Bucket("Web", 0, 0, 1, 1, 1), Bucket("web", 1, 1, 1, 1, 2)], display)
        assert [(line["source"], len(line["points"])) for line in drawn] == [("Web", 2)]

    def test_the_lines_with_the_most_points_are_drawn(self) -> None:
        display = Display(300, 60, aggregate=False, summarize="average")
        few = [Bucket(f"few-{n}", 0, 0, 1, 1, 1) for n in range(MAX_LINES)]
        many = [Bucket("many", n, n, 1, 1, 1) for n in range(2)]
        drawn = [line["source"] for line in draw([*few, *many], display)]
        assert len(drawn) == MAX_LINES
        assert "many" in drawn

    def test_several_raw_measurements_of_an_interval_are_one_point(self) -> None:
        buckets = [Bucket("s", 6, 7, 3, 4, 20), Bucket("s", 9, 10, 1, 2, 8)]
        average = Display(3600, 60, aggregate=False, summarize="average")
        assert draw(buckets, average)[0]["points"] == [(6, 5), (10, 4)]
        assert draw(buckets, average._replace(summarize="sum"))[0]["points"] == [(6, 20), (10, 8)]
