"""explain, run as a command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.command import complaint, records, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.once

ORDER = {
    "type": "track",
    "userId": "ada",
    "event": "Order",
    "properties": {"value": 4},
    "messageId": "m-1",
}
GAUGE = "Gauge Order takes the value 4 with the source Order, from the event name."
NOT_STRICT = "not strict JSON: "


def lines(*values: Any) -> str:
    return "".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in values)


def test_each_line_has_a_verdict_and_its_gauge() -> None:
    identify = {"type": "identify", "userId": "ada"}
    result = run("explain", "-", stdin=lines(ORDER, "", identify))
    assert result.stdout == (
        f"     1  ok\n        {GAUGE}\n"
        "     3  ok\n        No measurement: its type is not track, page or screen.\n"
    )


def test_the_last_line_needs_no_end() -> None:
    assert run("explain", "-", stdin=json.dumps(ORDER)).stdout.startswith("     1  ok\n")


@pytest.mark.parametrize(
    "second,verdict,reason",
    [
        (ORDER, "dropped", "Event dropped during deduplication"),
        (
            {**ORDER, "messageId": "m-2", "x": "y" * 33_000},
            "dropped",
            "Payload is too large: the message exceeds 32 KB",
        ),
        (
            {"type": "track", "event": "X"},
            "rejected",
            "Identifier is not present: userId or anonymousId is needed",
        ),
        (
            {"type": "track", "userId": "ada"},
            "rejected",
            "Track event is missing name: track needs a string event",
        ),
        ({"type": "order", "userId": "ada"}, "rejected", "the type is unknown"),
        ([], "rejected", "not an object"),
        ("nope", "rejected", f"{NOT_STRICT}Expecting value: column 1 (char 0)"),
        ('{"a": NaN}', "rejected", f"{NOT_STRICT}NaN is not a JSON number"),
        ('{"a": 1, "a": 2}', "rejected", f"{NOT_STRICT}an object has the same key twice"),
        ('{"a":' * 50_000 + "1" + "}" * 50_000, "rejected", "nested too deeply"),
        ("{" + " " * 16 * 1024 * 1024 + "}", "rejected", "the line has more than 16 MiB"),
    ],
    ids=lambda one: str(one)[:30],
)
def test_what_would_not_arrive_is_told_with_the_reason(
    second: object, verdict: str, reason: str
) -> None:
    result = run(
        "explain", "--json", "-", stdin=lines(ORDER, second, {**ORDER, "messageId": "3"}), status=1
    )
    first, found, third = records(result)
    assert first == {
        "line": 1,
        "verdict": "ok",
        "reason": "",
        "gauge": {"name": "Order", "value": 4, "measure_time": None, "source": "Order"},
        "explanation": GAUGE,
        "problems": [],
    }
    assert found == {
        "line": 2,
        "verdict": verdict,
        "reason": reason,
        "gauge": None,
        "explanation": "",
        "problems": [],
    }
    assert (third["line"], third["verdict"]) == (3, "ok")
    assert result.stderr == ""


def test_what_the_spec_has_against_a_message_is_told_although_it_arrives() -> None:
    message = {**ORDER, "event": "Order completed"}
    text = 'event "Order completed" looks like "Order Completed"'
    shown = run("explain", "-", stdin=lines(message)).stdout.splitlines()
    assert (shown[0], shown[-1]) == ("     1  ok", f"        {text}")
    (record,) = records(run("explain", "--json", "-", stdin=lines(message)))
    problem = {"code": "event_name", "path": "event", "text": text, "suggestion": "Order Completed"}
    assert record["problems"] == [problem]


def test_the_marks_of_windows_are_no_part_of_a_message(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + lines(ORDER).replace("\n", "\r\n").encode())
    assert run("explain", str(file)).stdout.startswith("     1  ok\n")


def test_messages_without_an_id_are_no_duplicates() -> None:
    message = {"type": "identify", "userId": "ada"}
    run("explain", "-q", "-", stdin=lines(message, message))


def test_a_file_may_be_anything(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\xff\x00\n")
    (record,) = records(run("explain", "--json", str(file), status=1))
    assert record["reason"] == "not UTF-8: its byte 1 cannot be decoded"
    file.write_text("\n \n")
    assert complaint(run("explain", str(file), status=2)) == f"{file} has no line of JSON"
    missing, folder = tmp_path / "missing", tmp_path
    for path, reason in ((missing, "No such file or directory"), (folder, "Is a directory")):
        text = f"Invalid value for 'FILE': '{path}': {reason}"
        assert complaint(run("explain", str(path), status=2)) == text


def test_a_message_cannot_control_the_terminal() -> None:
    event = {**ORDER, "event": "\x1b[31m\x9b\u202e", "properties": {"value": "\x1b]0;x\x07"}}
    for options in ((), ("--json",)):
        output = run("explain", *options, "-", stdin=lines(event)).stdout
        assert output.replace("\n", "").isprintable()
