"""The events that the page shows: what is recorded, filtered, counted, and shown of one."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.debugger import ask, events, get, json_lines
from support.local_server import KEY, batch, exchange, post, track
from support.waiting import wait_until

from segment_librato.devserver.page.outlines import outline

if TYPE_CHECKING:
    from segment_librato import Client
    from segment_librato.devserver.page.debugger import Debugger

pytestmark = pytest.mark.once


def send(debugger: Debugger, *messages: object, **fields: Any) -> int:
    return post(debugger.server, batch(*messages, **fields))[0]


def names(found: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in found]


class TestOutlines:
    def test_an_event_of_a_client_is_shown_with_its_gauge(
        self, debugger: Debugger, client: Client
    ) -> None:
        before = time.time()
        client.track("ada", "Signed Up", {"value": 7}, context={"Librato": {"source": "web-1"}})
        client.flush()

        found = get(debugger, "/events")

        assert (found["matching"], found["kept"]) == (1, 1)
        (event,) = found["events"]
        assert before <= event.pop("at") <= time.time()
        message = get(debugger, "/events/1")["message"]
        size = len(json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode())
        assert event == {
            "id": 1,
            "type": "track",
            "event": "Signed Up",
            "user": "ada",
            "source": "web-1",
            "verdict": "accepted",
            "reason": "",
            "size": size,
            "gauge": {"name": "Signed-Up", "value": 7, "source": "web-1"},
            "request": 1,
        }

    @pytest.mark.parametrize(
        "message, event, user",
        [
            ({"type": "page", "userId": "a", "name": "Pricing"}, "Pricing", "a"),
            ({"type": "screen", "anonymousId": "b", "name": "Home"}, "Home", "b"),
            ({"type": "group", "userId": "a", "groupId": 7}, "7", "a"),
            ({"type": "identify", "userId": "a", "traits": {}}, "", "a"),
            ({"type": "alias", "userId": "a", "previousId": "b"}, "", "a"),
            ({"type": "page", "userId": "a"}, "", "a"),
        ],
    )
    def test_other_types_are_named_by_what_names_them(
        self, debugger: Debugger, message: dict[str, Any], event: str, user: str
    ) -> None:
        assert send(debugger, message) == 200

        (found,) = events(debugger)
        assert (found["type"], found["event"], found["user"]) == (message["type"], event, user)

    def test_fields_of_the_batch_are_part_of_each_message(self, debugger: Debugger) -> None:
        send(debugger, track(), track(context={"ip": "::1"}), context={"Librato": {"source": "s"}})

        assert [event["source"] for event in events(debugger)] == ["s", "s"]
        shared = {"Librato": {"source": "s"}}
        assert get(debugger, "/events/2")["message"]["context"] == {**shared, "ip": "::1"}

    def test_a_source_is_shown_although_there_is_no_gauge(self, debugger: Debugger) -> None:
        message = {"type": "identify", "userId": "a", "context": {"Librato": {"source": "web-7"}}}
        send(debugger, message)

        (event,) = events(debugger)
        assert (event["source"], event["gauge"]) == ("web-7", None)

    def test_a_message_of_32_kb_is_shown_whole(self, debugger: Debugger) -> None:
        frame = len(json.dumps(track(properties={"x": ""}), separators=(",", ":")))
        fitting = track(properties={"x": "y" * (32 * 1024 - frame)})
        send(debugger, fitting, track(properties={"x": "y" * (32 * 1024 - frame + 1)}))

        large, fits = events(debugger)
        assert (fits["size"], fits["verdict"]) == (32 * 1024, "accepted")
        assert (large["size"], large["verdict"]) == (32 * 1024 + 1, "dropped")
        assert large["reason"].startswith("Payload is too large")
        assert get(debugger, "/events/1")["message"] == fitting

    def test_a_name_that_is_a_text_of_another_world_stays_as_it_is(
        self, debugger: Debugger
    ) -> None:
        weird = "<img src=x onerror=alert(1)> \0 \u202e ZWJ 👩\u200d💻 é\u0301 \ud83d\ude00"
        weird = weird.encode("utf-16", "surrogatepass").decode("utf-16")
        send(debugger, track(event=weird, userId="\x1b[31m"))

        (event,) = events(debugger)
        assert (event["event"], event["user"]) == (weird, "\x1b[31m")
        assert get(debugger, "/events/1")["message"]["event"] == weird
        assert names(events(debugger, event="zwj 👩\u200d💻 É\u0301")) == [weird]

    def test_a_number_beyond_64_bits_is_kept(self, debugger: Debugger) -> None:
        send(debugger, track(properties={"value": 10**40, "other": 2**64}))

        (event,) = events(debugger)
        assert event["gauge"]["value"] == 10**40
        assert get(debugger, "/events/1")["message"]["properties"]["other"] == 2**64
        assert get(debugger, "/gauges")[0]["value"] == 1e40


class TestVerdicts:
    def test_a_rejected_request_shows_its_messages(self, debugger: Debugger) -> None:
        assert send(debugger, track("a"), track("b", event=None), {"type": "track"}) == 400

        found = events(debugger)
        assert {event["verdict"] for event in found} == {"rejected"}
        assert {event["request"] for event in found} == {1}
        assert [event["reason"] for event in found] == [
            "Identifier is not present: userId or anonymousId is needed",
            "Track event is missing name: track needs a string event",
            "as its request was: message 1: track needs a string event",
        ]
        assert all(event["gauge"] is None for event in found)
        assert get(debugger, "/gauges") == []

    def test_a_duplicate_is_shown_as_one(self, debugger: Debugger) -> None:
        send(debugger, track("a"), track("a"))

        duplicate, first = events(debugger)
        assert (first["verdict"], first["reason"]) == ("accepted", "")
        assert duplicate["verdict"] == "duplicate"
        assert duplicate["reason"] == "Event dropped during deduplication"
        assert get(debugger, "/gauges")[0]["count"] == 1

    def test_the_messages_of_a_request_that_met_a_fault_are_no_events(
        self, debugger: Debugger
    ) -> None:
        debugger.server.respond(500)
        assert send(debugger, track("a")) == 500
        assert send(debugger, track("a")) == 200

        assert [event["verdict"] for event in events(debugger)] == ["accepted"]

    def test_a_lost_response_and_its_repetition(self, debugger: Debugger) -> None:
        debugger.server.respond(500, accept=True)
        send(debugger, track("a"))
        send(debugger, track("a"))

        assert [event["verdict"] for event in events(debugger)] == ["duplicate", "accepted"]

    @pytest.mark.parametrize(
        "message, shown",
        [
            ({"type": 5, "userId": ["x"], "event": {"a": 1}}, ("5", '{"a":1}', '["x"]')),
            ({"type": None, "event": "e"}, ("", "e", "")),
            ({"type": "track", "event": True, "userId": 0}, ("track", "true", "")),
            ({"type": "trakc", "event": "e", "userId": "u"}, ("trakc", "e", "u")),
            ({"context": 7, "integrations": []}, ("", "", "")),
            ({"context": {"Librato": {"source": 7}}}, ("", "", "")),
            ({"type": ["track"], "event": "y" * 2000}, ('["track"]', "y" * 1000, "")),
        ],
    )
    def test_whatever_a_rejected_message_holds_can_be_shown(
        self, debugger: Debugger, message: dict[str, Any], shown: tuple[str, str, str]
    ) -> None:
        assert send(debugger, message) == 400

        (event,) = events(debugger)
        assert (event["type"], event["event"], event["user"]) == shown
        detail = get(debugger, "/events/1")
        assert detail["message"] == message
        assert detail["explanation"].startswith("No measurement: ")
        assert detail["problems"] == []

    @pytest.mark.parametrize(
        "body, message",
        [
            (b'{"batch": [{"event": "\\ud800"}]}', {"event": "\ud800"}),
            (b'{"batch": [{"a": NaN, "b": 1e999, "c": -Infinity}]}', None),
            (b'{"batch": [{"a": 1, "a": 2}]}', {"a": 2}),
            (b'{"batch": [{"a": "\xff"}]}', {"a": "\ufffd"}),
            (b'{"writeKey": "k", "batch": [[1], "x", {"a": 1}]}', {"a": 1}),
        ],
    )
    def test_what_is_no_strict_json_is_read_as_far_as_it_can_be(
        self, debugger: Debugger, body: bytes, message: object
    ) -> None:
        assert post(debugger.server, body)[0] == 400

        expected = message or {"a": "NaN", "b": "1e999", "c": "-Infinity"}
        assert get(debugger, "/events/1")["message"] == expected

    @pytest.mark.parametrize(
        "body", [b"", b"no JSON", b"[]", b"7", b'{"batch": 7}', b'{"batch": [7]}', b"[" * 99_999]
    )
    def test_what_holds_no_message_is_a_request_without_events(
        self, debugger: Debugger, body: bytes
    ) -> None:
        assert post(debugger.server, body)[0] in {400, 401}

        assert events(debugger) == []
        assert get(debugger, "/requests")["requests"][0]["rejection"]

    def test_a_rejected_message_of_a_route_of_its_own_has_no_key(self, debugger: Debugger) -> None:
        message = {"event": "e", "writeKey": KEY}
        assert post(debugger.server, message, path="/v1/track")[0] == 400

        assert get(debugger, "/events/1")["message"] == {"event": "e", "type": "track"}

    def test_what_is_nested_too_deeply_for_the_stack_is_not_shown(self, debugger: Debugger) -> None:
        deep: object = 1
        for _ in range(200_000):
            deep = [deep]
        event, _ = outline({"type": "track", "event": deep}, 0.0, "rejected", "")
        assert event.message == event.event == '{"nested":"too deeply to be shown"}'

        debugger.journal.add(None, [event, event._replace(message="[" * 200_000)], [])

        assert get(debugger, "/events/1")["message"] == {"nested": "too deeply to be shown"}
        answer = ask(debugger, "/events/2")
        assert answer.status == 500
        assert answer.json["message"] == "the message is nested too deeply"
        while isinstance(deep, list):  # the collector would go as deep
            deep = deep.pop()

    @pytest.mark.parametrize("depth", [300, 900, 5_000])
    def test_a_message_that_is_nested_deeply_does_no_harm(
        self, debugger: Debugger, depth: int
    ) -> None:
        body = b'{"writeKey": "k", "batch": [{"type": "track", "userId": "u", "event": %b}]}'
        post(debugger.server, body % (b'{"a":' * depth + b"1" + b"}" * depth))

        assert get(debugger, "/events")["kept"] <= 1
        assert ask(debugger, "/events/1").status in {200, 404, 500}
        assert ask(debugger, "/events.jsonl").status == 200
        assert send(debugger, track()) == 200


class TestFilters:
    @pytest.fixture(autouse=True)
    def _events(self, debugger: Debugger) -> None:
        send(
            debugger,
            track("1", event="Signed Up", userId="Ada", properties={"plan": 'pro "x" 100%'}),
            track("2", event="Signed Out", userId="bob", context={"Librato": {"source": "Web-1"}}),
            {"type": "page", "anonymousId": "ÄRGER", "name": "Pricing", "properties": {"a": "ß_"}},
            track("2", event="Signed Out"),
        )
        send(debugger, track(event=None))

    @pytest.mark.parametrize(
        "query, ids",
        [
            ({}, [5, 4, 3, 2, 1]),
            ({"type": "page"}, [3]),
            ({"type": ["page", "track"]}, [5, 4, 3, 2, 1]),
            ({"type": "nothing"}, []),
            ({"verdict": "rejected"}, [5]),
            ({"verdict": ["duplicate", "rejected"]}, [5, 4]),
            ({"event": "signed"}, [4, 2, 1]),
            ({"event": "IGNED U"}, [1]),
            ({"user": "a"}, [1]),
            ({"user": "är"}, [3]),
            ({"source": "web"}, [2]),
            ({"text": "PLAN"}, [1]),
            ({"text": '"plan":"pro'}, [1]),
            ({"text": 'pro "x"'}, [1]),
            ({"text": "100%"}, [1]),
            ({"text": '{\n  "plan": "pro'}, [1]),
            ({"text": '"userId": "bob",\n  "event": "signed out"'}, [2]),
            ({"text": "1%0"}, []),
            ({"text": "ß_"}, [3]),
            ({"text": "SS_"}, []),
            ({"text": "Ärger"}, [3]),
            ({"text": "_"}, [3]),
            ({"text": "\\"}, [1]),
            ({"text": "\0"}, []),
            ({"text": "signed\0"}, []),
            ({"text": '"PLAN": "PRO ' + "x" * 50}, []),
            ({"text": '{"type": "track", "userId": "BOB", "event": "signed'}, [2]),
            ({"type": "track", "event": "signed", "user": "bob", "verdict": "accepted"}, [2]),
            ({"event": "", "type": "", "text": ""}, [5, 4, 3, 2, 1]),
        ],
    )
    def test_a_filter_finds(
        self, debugger: Debugger, query: dict[str, str], ids: list[int]
    ) -> None:
        found = get(debugger, "/events", **query)

        assert [event["id"] for event in found["events"]] == ids
        assert (found["matching"], found["kept"]) == (len(ids), 5)
        assert len(json_lines(debugger, **query)) == len(ids)

    def test_pages_go_back_and_forward(self, debugger: Debugger) -> None:
        def ids(**query: object) -> list[int]:
            return [event["id"] for event in events(debugger, **query)]

        assert ids(limit=2) == [5, 4]
        assert ids(limit=2, before=4) == [3, 2]
        assert ids(limit=2, before=2) == [1]
        assert ids(before=1) == []
        assert ids(after=3) == [5, 4]
        assert ids(after=5) == []
        assert ids(after=1, before=4) == [3, 2]
        assert ids(after=1, limit=1, type="track") == [5]
        assert ids(limit=2, offset=3) == [2, 1]
        assert ids(offset=1, event="signed") == [2, 1]
        assert ids(offset=5) == []

    def test_the_number_of_matches_keeps_up(self, debugger: Debugger) -> None:
        def matching() -> int:
            return int(get(debugger, "/events", event="signed", limit=1)["matching"])

        assert matching() == 3
        send(debugger, track(event="Signed Away"), track(event="Else"))
        assert matching() == 4
        ask(debugger, "/events", method="DELETE")
        assert matching() == 0
        send(debugger, track(event="Signed Away"))
        assert matching() == 1

    def test_of_many_filters_the_newest_are_remembered(self, debugger: Debugger) -> None:
        for number in range(40):
            assert get(debugger, "/events", event=f"x{number}")["matching"] == 0
        assert get(debugger, "/events", event="signed")["matching"] == 3

    def test_names_are_counted(self, debugger: Debugger) -> None:
        counted = get(debugger, "/names")

        assert [(one["type"], one["event"], one["count"]) for one in counted] == [
            ("track", "Signed Out", 2),
            ("track", "", 1),
            ("page", "Pricing", 1),
            ("track", "Signed Up", 1),
        ]
        assert counted[0]["last"] == get(debugger, "/events/4")["at"]
        assert [one["event"] for one in get(debugger, "/names", text="100%")] == ["Signed Up"]
        assert get(debugger, "/names", verdict="dropped") == []

    @pytest.mark.parametrize(
        "path, text",
        [
            ("/events?limt=3", "unknown parameter 'limt', known are type, event, user, "),
            ("/events?%00=3", "unknown parameter '\\x00', known are "),
            ("/events?limit=0", "limit is not between 1 and 1000"),
            ("/events?limit=1001", "limit is not between 1 and 1000"),
            ("/events?limit=ten", "limit is not a whole number"),
            ("/events?limit=-1", "limit is not a whole number"),
            ("/events?limit=1&limit=2", "limit is given twice"),
            ("/events?before=x", "before is not a whole number"),
            ("/events?after=1.5", "after is not a whole number"),
            ("/events?after=" + "9" * 40, "after is not a whole number"),
            ("/events?verdict=good", "verdict is not one of accepted, rejected, dropped, "),
            ("/events?event=a&event=b", "event is given twice"),
            ("/events?text=" + "x" * 1001, "text exceeds 1000 characters"),
            ("/events?" + "type=a&" * 101, "more than 100 parameters"),
            ("/names?limit=3", "unknown parameter 'limit'"),
            ("/events.jsonl?before=3", "unknown parameter 'before'"),
            ("/requests?type=x", "unknown parameter 'type'"),
            ("/stream?x=1", "unknown parameter 'x'"),
        ],
    )
    def test_a_query_that_is_wrong_says_so(self, debugger: Debugger, path: str, text: str) -> None:
        answer = ask(debugger, path)

        assert (answer.status, answer.json["code"]) == (400, "invalid_request")
        assert answer.json["message"].startswith(text)

    def test_a_query_of_any_bytes_is_a_query(self, debugger: Debugger) -> None:
        for query in (b"?text=%ff%00", b"?event=%ed%a0%80", b"?user=%F0%9F%98%80&&;=", b"?=", b"?"):
            head = b"GET /events%b HTTP/1.1\r\nHost: localhost\r\n\r\n" % query
            assert exchange(debugger.server, head).split(b" ", 2)[1] in {b"200", b"400"}


class TestOneEvent:
    def test_it_comes_with_its_request_and_the_previous_one(self, debugger: Debugger) -> None:
        send(debugger, track("1", properties={"n": 1}), track("2", event="Else"))
        send(debugger, track("3", properties={"n": 2}))

        event = get(debugger, "/events/3")
        assert event["message"] == track("3", properties={"n": 2})
        assert event["request"] == get(debugger, "/requests")["requests"][0]
        assert event["previous"]["message"] == track("1", properties={"n": 1})
        assert (event["previous"]["id"], set(event["previous"])) == (1, {"id", "at", "message"})
        assert event["explanation"].startswith("Gauge Signed-Up takes the value 1 ")
        assert get(debugger, "/events/1")["previous"] is None

    @pytest.mark.parametrize("path", ["2", "0", "-1", "x", "1/", "", "1" * 30, "\u0661", "1.0"])
    def test_what_is_not_there_is_404(self, debugger: Debugger, path: str) -> None:
        send(debugger, track())

        answer = ask(debugger, f"/events/{path}")
        assert (answer.status, answer.json["code"]) == (404, "not_found")

    def test_clear_forgets_everything_but_never_reuses_an_id(self, debugger: Debugger) -> None:
        send(debugger, track("a"))
        debugger.server.respond(503)

        assert ask(debugger, "/events", method="DELETE").json == {"cleared": 1}

        assert get(debugger, "/events") == {"events": [], "matching": 0, "kept": 0}
        assert get(debugger, "/requests") == {"requests": [], "kept": 0}
        assert get(debugger, "/gauges") == []
        assert (debugger.server.messages, debugger.server.requests) == ([], [])
        assert send(debugger, track("a")) == 503  # trouble does not end with it
        assert send(debugger, track("a")) == 200  # nor is it a duplicate
        (event,) = events(debugger)
        assert (event["id"], event["verdict"]) == (2, "accepted")

    def test_another_method_is_405(self, debugger: Debugger) -> None:
        for method, path, allowed in [
            ("PUT", "/events", "GET, POST, DELETE"),
            ("POST", "/events/1", "GET"),
            ("DELETE", "/stream", "GET"),
            ("GET", "/send", "POST"),
            ("POST", "/static/app.js", "GET"),
        ]:
            answer = ask(debugger, path, method=method)
            assert (answer.status, answer.headers["Allow"]) == (405, allowed)
            assert answer.json["code"] == "method_not_allowed"


class TestRequests:
    def test_a_request_is_shown_with_what_it_took(self, debugger: Debugger, client: Client) -> None:
        client.track("ada", "Signed Up")
        client.flush()

        (request,) = get(debugger, "/requests")["requests"]
        received = debugger.server.requests[0]
        assert 0 < request.pop("duration") < 20
        assert abs(request.pop("at") - time.time()) < 20
        assert request == {
            "id": 1,
            "method": "POST",
            "path": "/v1/batch",
            "status": 200,
            "rejection": "",
            "messages": 1,
            "measurements": 0,
            "bytes": received.raw_size,
            "size": received.size,
            "gzip": False,
            "retry": 0,
            "scripted": False,
        }

    def test_each_path_of_the_apis_has_its_requests_shown(self, debugger: Debugger) -> None:
        for path in ("/", "/nowhere", "/v1/batch"):
            assert ask(debugger, path, {}).status in {401, 404, 405}

        requests = get(debugger, "/requests")["requests"]
        assert [one["path"] for one in requests] == ["/v1/batch", "/nowhere", "/"]
        assert all(one["duration"] is not None for one in requests)

    def test_gzip_and_retries_are_shown(self, debugger: Debugger) -> None:
        from segment_librato import Client

        debugger.server.respond(None, times=2)
        with Client("k", host=debugger.host, gzip=True) as client:
            client.track("ada", "Signed Up", {"x": "y" * 1000})
            client.flush()

        wait_until(lambda: len(get(debugger, "/requests")["requests"]) == 3)
        requests = get(debugger, "/requests")["requests"]
        assert [one["status"] for one in requests] == [200, None, None]
        assert [one["retry"] for one in requests] == [2, 1, 0]
        assert [one["scripted"] for one in requests] == [False, True, True]
        assert all(one["gzip"] and one["bytes"] < one["size"] for one in requests)

    @pytest.mark.parametrize(
        "retry, shown", [("7", 7), ("x", 0), ("-1", 0), ("9" * 30, 2**31), ("9" * 5_000, 2**31)]
    )
    def test_a_number_of_retries_that_is_none(
        self, debugger: Debugger, retry: str, shown: int
    ) -> None:
        post(debugger.server, batch(track()), headers={"X-Retry-Count": retry})

        assert get(debugger, "/requests")["requests"][0]["retry"] == shown

    def test_pages_go_back(self, debugger: Debugger) -> None:
        for _ in range(5):
            send(debugger, track())

        first = get(debugger, "/requests", limit=2)
        assert ([one["id"] for one in first["requests"]], first["kept"]) == ([5, 4], 5)
        older = get(debugger, "/requests", limit=2, before=4)["requests"]
        assert [one["id"] for one in older] == [3, 2]
        assert get(debugger, "/requests", before=1)["requests"] == []
        assert [one["id"] for one in get(debugger, "/requests", offset=4)["requests"]] == [1]

    def test_neither_the_page_nor_the_status_is_a_request(self, debugger: Debugger) -> None:
        for path in ("/", "/events", "/favicon.ico", "/requests", "/static/none.js"):
            ask(debugger, path, headers={"Accept": "text/html"})
        assert ask(debugger, "/").json["requests"] == 0

        assert get(debugger, "/requests") == {"requests": [], "kept": 0}

    def test_a_path_that_nobody_serves_is_one(self, debugger: Debugger) -> None:
        assert ask(debugger, "/nowhere").status == 404

        (request,) = get(debugger, "/requests")["requests"]
        assert (request["path"], request["status"]) == ("/nowhere", 404)
        assert request["rejection"] == "no such route"
