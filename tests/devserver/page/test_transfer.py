"""Events as JSON lines: out and in again, and what is no event."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.debugger import ask, events, get, json_lines
from support.local_server import batch, post, track

from segment_librato.devserver.page import routes, transfer
from segment_librato.devserver.page.filters import Filter
from segment_librato.devserver.page.lookups import Lookups

if TYPE_CHECKING:
    from segment_librato.devserver.page.debugger import Debugger

pytestmark = pytest.mark.once


def lines(*items: Any) -> bytes:
    return b"\n".join(json.dumps(item).encode() for item in items)


def imported(count: int, *skipped: int) -> dict[str, Any]:
    return {"imported": count, "skipped": len(skipped), "skipped_lines": [*skipped]}


class TestRoundTrip:
    def test_what_was_exported_comes_back(self, debugger: Debugger) -> None:
        post(
            debugger.server,
            batch(track("a", properties={"value": 3}), track("a"), track("x" * 100)),
        )
        post(debugger.server, b'{"batch": [{"event": "\\ud800 \xc3\xa4", "n": NaN}]}')
        exported = ask(debugger, "/events.jsonl").body
        before = events(debugger)
        gauges = get(debugger, "/gauges")
        ask(debugger, "/events", method="DELETE")

        answer = ask(debugger, "/events", exported)

        assert answer.json == imported(4)
        assert ask(debugger, "/events.jsonl").body == exported
        assert get(debugger, "/gauges") == gauges
        for old, new in zip(before, events(debugger), strict=True):
            assert (new.pop("id"), new.pop("request")) == (old.pop("id") + 4, None)
            assert old.pop("request") is not None
            assert new == old

    def test_lines_come_oldest_first_and_say_what_became_of_each(self, debugger: Debugger) -> None:
        post(debugger.server, batch(track("a"), track("b", event="Else"), track("a")))

        first, second, third = json_lines(debugger)
        assert first["message"] == track("a")
        assert (first["verdict"], first["reason"]) == ("accepted", "")
        assert second["message"]["event"] == "Else"
        assert third["reason"] == "Event dropped during deduplication"
        assert first["receivedAt"].startswith(time.strftime("%Y-%m-", time.gmtime()))
        assert first["receivedAt"].endswith("+00:00")
        assert json_lines(debugger, event="else") == [second]

    def test_many_are_exported_piece_by_piece(self, debugger: Debugger) -> None:
        ask(debugger, "/events", lines(*(track(n=n) for n in range(2_500))))

        assert [one["message"]["n"] for one in json_lines(debugger)] == [*range(2_500)]
        assert len(json_lines(debugger, text='"n":24')) == 111

    def test_what_arrives_meanwhile_is_left_out(self, debugger: Debugger) -> None:
        ask(debugger, "/events", lines(*(track(n=n) for n in range(1_500))))
        pieces = Lookups(debugger.journal).export(Filter())

        exported = 0
        for piece in pieces:  # it would never end
            exported += len(piece)
            post(debugger.server, batch(*[track()] * 1_000))
        assert exported == 1_500

    @pytest.mark.parametrize(
        "received",
        [
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-14:00",
            "9999-12-31T23:59:59.999999",
        ],
    )
    def test_a_time_that_no_export_can_write_does_not_come_in(
        self, debugger: Debugger, received: str
    ) -> None:
        line = {"message": track(), "verdict": "accepted", "receivedAt": received}
        assert ask(debugger, "/events", lines(line)).json == imported(0, 1)
        assert json_lines(debugger) == []

    @pytest.mark.parametrize("received", ["0001-01-01T00:00:00", "9999-12-31T23:59:59"])
    def test_the_first_and_the_last_time_come_back(self, debugger: Debugger, received: str) -> None:
        line = {"message": track(), "verdict": "accepted", "receivedAt": received}
        assert ask(debugger, "/events", lines(line)).json == imported(1)
        assert json_lines(debugger)[0]["receivedAt"] == f"{received}.000000+00:00"


class TestImport:
    def test_bare_messages_are_judged(self, debugger: Debugger) -> None:
        body = lines(
            track(properties={"value": 5}), track(event=None), track(properties={"x": "y" * 33_000})
        )
        assert ask(debugger, "/events", body).json == imported(3)

        dropped, rejected, accepted = events(debugger)
        assert (accepted["verdict"], accepted["gauge"]["value"]) == ("accepted", 5)
        assert rejected["reason"].startswith("Track event is missing name")
        assert dropped["reason"].startswith("Payload is too large")
        assert get(debugger, "/gauges")[0]["count"] == 1
        assert get(debugger, "/requests")["requests"] == []
        assert debugger.server.messages == []

    @pytest.mark.parametrize(
        "line",
        [
            b"no JSON",
            b"7",
            b"[]",
            b"{}",
            b'{"event": "no type"}',
            b'{"message": {"type": "track"}}',
            b'{"message": {"type": "track"}, "verdict": "good", "receivedAt": "2026-11-28"}',
            b'{"message": {"type": "track"}, "verdict": ["accepted"], "receivedAt": "2026-11-28"}',
            b'{"message": {"type": "track"}, "verdict": "accepted", "receivedAt": "yesterday"}',
            b'{"message": {"type": "track"}, "verdict": "accepted", "receivedAt": 7}',
            b'{"message": {}, "verdict": "accepted", "receivedAt": "2026-11-28", "reason": 7}',
            b'{"message": 7, "verdict": "accepted", "receivedAt": "2026-11-28"}',
            b"\xff",
            b"[" * 99_999,
            b'{"type": "track", "n": ' + b"9" * 5_000 + b"}",
        ],
    )
    def test_what_is_no_event_is_skipped(self, debugger: Debugger, line: bytes) -> None:
        body = b"\n".join([line, lines(track()), b"", b"  "])
        assert ask(debugger, "/events", body).json == imported(1, 1)

    def test_the_first_lines_that_were_skipped_are_named(self, debugger: Debugger) -> None:
        body = b"\n".join([lines(track()), b"", b"x", *[b"y"] * 20, lines(track())])
        answer = ask(debugger, "/events", body).json
        assert answer == {"imported": 2, "skipped": 21, "skipped_lines": [*range(3, 13)]}

    def test_a_line_larger_than_a_request_is_skipped(
        self, debugger: Debugger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(transfer, "MAX_BODY_BYTES", 1_000)
        body = lines(track(x="y" * 1_000), track())
        assert ask(debugger, "/events", body).json == imported(1, 1)

    @pytest.mark.parametrize("received", ["2026-11-28T10:00:00Z", "2026-11-28T10:00:00"])
    def test_times_are_those_of_the_file(self, debugger: Debugger, received: str) -> None:
        line = {"message": track(), "verdict": "accepted", "receivedAt": received}
        ask(debugger, "/events", lines(line))

        assert events(debugger)[0]["at"] == 1795860000
        assert get(debugger, "/gauges")[0]["last"] == 1795860000

    def test_a_byte_order_mark_is_no_part_of_a_line(self, debugger: Debugger) -> None:
        body = b"\xef\xbb\xbf" + lines(track()) + b"\r\n"
        assert ask(debugger, "/events", body).json == imported(1)

    def test_nothing_is_imported_from_nothing(self, debugger: Debugger) -> None:
        assert ask(debugger, "/events", b"").json == imported(0)

    def test_a_file_may_be_larger_than_a_request_of_the_api(self, debugger: Debugger) -> None:
        body = lines(*[track(properties={"x": "y" * 30_000})] * 600)
        assert len(body) > 16 * 1024 * 1024

        assert ask(debugger, "/events", body).json == imported(600)

    def test_beyond_its_limit_nothing_is_imported(
        self, debugger: Debugger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(routes, "MAX_IMPORT_BYTES", 1 << 20)
        monkeypatch.setitem(routes.BODY_LIMITS, "/events", 1 << 20)

        answer = ask(debugger, "/events", lines(track()) + b"\n" * (1 << 20))

        assert (answer.status, answer.json["code"]) == (413, "payload_too_large")
        assert answer.json["message"] == "the body exceeds 1 MiB: send it in parts"
        assert events(debugger) == []
