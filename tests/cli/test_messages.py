"""track, identify, group, alias, page, screen and gauge, run as a command."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from support.command import KEY, complaint, records, run
from support.raw_server import FOREVER, Ending, RawServer

from segment_librato.devserver import LocalSegment  # noqa: TC001  a fixture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.raw_server import Step

pytestmark = pytest.mark.once

TRACK = ("track", "--user-id", "ada", "--event", "Signed Up")
COMMON = (
    *("--context", '{"ip": "10.0.0.1"}'),
    *("--integrations", '{"All": false}'),
    *("--timestamp", "2026-11-20T10:00:00Z"),
    *("--message-id", "m-1"),
)
COMMON_FIELDS = {
    "integrations": {"All": False},
    "timestamp": "2026-11-20T10:00:00.000+00:00",
    "messageId": "m-1",
}
WHO = ("--user-id", "ada", "--anonymous-id", "anon-7")
WHO_FIELDS = {"userId": "ada", "anonymousId": "anon-7"}

CALLS: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (
        ("track", "--event", "Signed Up", "--properties", '{"value": 42}', *WHO, *COMMON),
        {"event": "Signed Up", "properties": {"value": 42}, **WHO_FIELDS},
    ),
    (
        ("identify", "--traits", '{"plan": "pro"}', *WHO, *COMMON),
        {"traits": {"plan": "pro"}, **WHO_FIELDS},
    ),
    (
        ("group", "--group-id", "acme", "--traits", '{"size": 3}', *WHO, *COMMON),
        {"groupId": "acme", "traits": {"size": 3}, **WHO_FIELDS},
    ),
    (
        ("alias", "--previous-id", "anon-7", "--user-id", "ada", *COMMON),
        {"previousId": "anon-7", "userId": "ada"},
    ),
    *(
        (
            (call, "--name", "N", "--category", "C", "--properties", "{}", *WHO, *COMMON),
            {"name": "N", "category": "C", "properties": {}, **WHO_FIELDS},
        )
        for call in ("page", "screen")
    ),
]


@pytest.mark.parametrize("arguments,fields", CALLS, ids=[call[0][0] for call in CALLS])
def test_a_message_arrives_as_it_was_given(
    arguments: tuple[str, ...], fields: dict[str, Any], server: LocalSegment
) -> None:
    run(*arguments, server=server)
    (message,) = server.messages
    expected = {"type": arguments[0], **fields, **COMMON_FIELDS}
    assert {name: message[name] for name in expected} == expected
    assert message["context"]["ip"] == "10.0.0.1"


def test_the_outcome_of_a_message_and_its_gauge(server: LocalSegment) -> None:
    lines = run(*TRACK, "--message-id", "m-1", server=server).stdout.splitlines()
    assert re.fullmatch(
        rf"delivered to 127\.0\.0\.1:{server.port} in \d+ ms, messageId m-1", lines[0]
    )
    assert lines[1:] == [
        "Gauge Signed-Up takes the value 1 with the source Signed-Up, from the event name."
    ]


def test_the_outcome_as_json(server: LocalSegment) -> None:
    when = ("--timestamp", "2026-11-20T10:00:00Z")
    (record,) = records(run(*TRACK, "--message-id", "m-1", *when, "--json", server=server))
    assert 0 < record.pop("seconds") < 10
    assert record == {
        "outcome": "delivered",
        "type": "track",
        "messageId": "m-1",
        "gauge": {
            "name": "Signed-Up",
            "value": 1,
            "measure_time": 1795168800,
            "source": "Signed-Up",
        },
    }


@pytest.mark.parametrize(
    "text,value",
    [
        *(("42", 42), ("-5", -5), ("+7", 7), ("0", 0), (".5", 0.5), ("4.50", 4.5)),
        *(("-1e3", -1000.0), ("1" * 126, int("1" * 126))),
    ],
)
def test_a_gauge_has_the_number_as_it_is_written(
    text: str, value: float, server: LocalSegment
) -> None:
    run("gauge", "queue.depth", text, "--source", "web-1", server=server)
    (message,) = server.messages
    assert message["event"] == "queue.depth"
    assert repr(message["properties"]["value"]) == repr(value)
    assert [one.source for one in server.measurements] == ["web-1"]


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1_0", "0x10", "", "many", "٤٢"])
def test_what_is_no_number_is_rejected(text: str, reject: Callable[..., str]) -> None:
    problem = reject("gauge", "queue.depth", text, "--dry-run")
    assert problem == f"Invalid value for 'VALUE': expected a number, got {text}"


@pytest.mark.parametrize("text", ["1e400", "1" * 127, "1" * 5000])
def test_what_is_too_large_for_librato_is_rejected(text: str, reject: Callable[..., str]) -> None:
    problem = reject("gauge", "queue.depth", text, "--dry-run")
    assert problem.startswith("value: expected a finite number of at most 1e126")


def test_a_dry_run_needs_no_key_and_sends_nothing(server: LocalSegment) -> None:
    arguments = ("gauge", "queue.depth", "42", "--dry-run", "--host", server.host)
    text, _, explanation = run(*arguments).stdout.rpartition("}\n")
    message = json.loads(f"{text}}}")
    assert (message["event"], message["properties"]) == ("queue.depth", {"value": 42})
    assert explanation == (
        "Gauge queue.depth takes the value 42 with the source queue.depth, from the event name.\n"
    )
    (record,) = records(run(*arguments, "--json"))
    assert [*record] == ["outcome", "message", "gauge"]
    assert record["outcome"] == "dry run"
    assert record["gauge"]["value"] == 42
    assert server.requests == []


def test_what_is_shown_cannot_control_the_terminal(server: LocalSegment) -> None:
    event = "\x1b[31mred\x9b1m \u202e\nnext"
    for options in ((), ("--json",), ("--dry-run",), ("--dry-run", "--json")):
        output = run("track", "--user-id", "a", "--event", event, *options, server=server).stdout
        assert output.replace("\n", "").isprintable()
    assert server.messages[0]["event"] == event


def test_text_is_utf_8_in_any_locale(server: LocalSegment) -> None:
    arguments = ("identify", "--user-id", "Zoë", "--traits", '{"name": "Zoë"}')
    run(*arguments, server=server, LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    (message,) = server.messages
    assert (message["userId"], message["traits"]) == ("Zoë", {"name": "Zoë"})


def test_json_comes_from_a_file_or_from_stdin(server: LocalSegment, tmp_path: Path) -> None:
    file = tmp_path / "traits.json"
    file.write_bytes(b'\xef\xbb\xbf{"name": "Zo\xc3\xab"}')
    arguments = ("identify", "--user-id", "ada", "--traits")
    run(*arguments, f"@{file}", server=server)
    run(*arguments, "@-", stdin='{"name": "Zoë"}', server=server)
    assert [message["traits"] for message in server.messages] == [{"name": "Zoë"}] * 2


STRICT = "Invalid value for '--traits': it is not strict JSON: "


@pytest.mark.parametrize(
    "text,problem",
    [
        ("", "Invalid value for '--traits': expected a JSON object, @FILE, or @- for stdin"),
        ("@", "Invalid value for '--traits': expected a JSON object, @FILE, or @- for stdin"),
        (" ", "Invalid value for '--traits': it is empty"),
        ('{"a": "\udcff"}', "Invalid value for '--traits': it is not UTF-8: its byte 8 cannot"),
        ("[1]", "Invalid value for '--traits': it is not an object"),
        ("{", f"{STRICT}Expecting property name"),
        ('{"a": NaN}', f"{STRICT}NaN is not a JSON number"),
        ('{"a": 1, "a": 2}', f"{STRICT}an object has the same key twice"),
        ('{"a": "\\ud800"}', f"{STRICT}'utf-8' codec can't encode character"),
        ('{"a": 1e999}', f"{STRICT}a number is beyond the range of a double"),
        (f'{{"a": {"1" * 5000}}}', f"{STRICT}Exceeds the limit"),
        ("@nowhere", "cannot read nowhere: No such file or directory"),
        ("@.", "cannot read .: Is a directory"),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_json_object_is_rejected(
    text: str, problem: str, reject: Callable[..., str]
) -> None:
    arguments = ("identify", "--user-id", "ada", "--dry-run", "--traits", text)
    assert reject(*arguments).startswith(problem)


def test_a_file_that_is_no_json_object_is_named(tmp_path: Path, reject: Callable[..., str]) -> None:
    file = tmp_path / "traits.json"
    for data, problem in (
        (b"\xff{}", f"@{file} is not UTF-8: its byte 1 cannot be decoded"),
        (b"\xef\xbb\xbf\n", f"@{file} is empty"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, f"@{file} is nested too deeply"),
        (b'{"a": "' + b"x" * 16 * 1024 * 1024, f"{file} has more than 16 MiB"),
    ):
        file.write_bytes(data)
        assert problem in reject("identify", "--user-id", "a", "--traits", f"@{file}", "--dry-run")


SECONDS = "Invalid value for '--timeout': expected a number of seconds,"
TIME = "Invalid value for '--timestamp': expected a time in ISO 8601, such as 2026-11-20T10:00:00Z"


@pytest.mark.parametrize(
    "arguments,problem",
    [
        (TRACK, "a write key is needed: --write-key or SEGMENT_WRITE_KEY; --dry-run does without"),
        (("track", "--user-id", "a"), "Missing option '--event'."),
        (("track", "--event", "X"), "a user is needed: --user-id or --anonymous-id"),
        (
            ("track", "--user-id", "", "--event", "X"),
            "Invalid value for '--user-id': it is empty",
        ),
        (("alias", "--user-id", "a"), "Missing option '--previous-id'."),
        (("gauge", "", "5"), "Invalid value for 'NAME': it is empty"),
        (("gauge", "n", "5", "--sorce", "x"), "No such option '--sorce'."),
        (("gauge", "n", "--sorce", "x", "5"), "No such option '--sorce'."),
        (
            ("track", "--user-id", "\udcff", "--event", "X"),
            "Invalid value for '--user-id': it is not UTF-8",
        ),
        ((*TRACK, "--user-ids", "x"), "No such option '--user-ids'."),
        ((*TRACK, "--timeout", "0"), "Invalid value for '--timeout': expected a number of seconds"),
        ((*TRACK, "--timeout", "nan"), "Invalid value for '--timeout': expected a number of"),
        ((*TRACK, "--timeout", "soon"), "Invalid value for '--timeout': expected a number of"),
        ((*TRACK, "--timeout", "1e9"), f"{SECONDS} above 0 and at most a year"),
        *(
            ((*TRACK, "--timestamp", time), TIME)
            for time in ("yesterday", "", "0", "2026-13-01", "0001-01-01T00:00:00+12:00", "1e400")
        ),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, tuple) else "",
)
def test_wrong_usage_is_told_in_one_line(
    arguments: tuple[str, ...], problem: str, reject: Callable[..., str]
) -> None:
    assert reject(*arguments).startswith(problem)


@pytest.mark.parametrize(
    "options,problem",
    [
        (("--message-id", "x" * 200), "--message-id: expected 1 to 99 characters, got 200"),
        (
            ("--host", "ftp://api.test"),
            "--host or SEGMENT_HOST: expected a URL such as https://api.segment.io",
        ),
        (
            ("--host", "http://me:secret@api.test"),
            "--host or SEGMENT_HOST: expected a URL without credentials",
        ),
        (
            ("--write-key", "key\n"),
            "--write-key or SEGMENT_WRITE_KEY: expected printable ASCII characters",
        ),
        (("--properties", f'{{"a": "{"x" * 40_000}"}}'), "message: expected at most 32768 bytes"),
    ],
    ids=lambda one: one[0] if isinstance(one, tuple) else "",
)
def test_what_the_client_rejects_is_told_in_one_line(
    options: tuple[str, ...], problem: str, reject: Callable[..., str]
) -> None:
    assert reject(*TRACK, "--write-key", KEY, *options).startswith(problem)


def response(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "\r\n")
    return "\r\n".join(lines).encode() + body


FAILURES: dict[str, tuple[Step, str, str, int | None]] = {
    "401": (
        response("401 Unauthorized"),
        "answered 401: Unauthorized; check the write key",
        "unknown",
        401,
    ),
    "400": (
        response("400 No", b'{"code": "invalid", "message": "bad \\u001b[31m type"}'),
        "answered 400: bad \\x1b[31m type",
        "invalid",
        400,
    ),
    "404": (
        response("404 Not Found"),
        "answered 404 to a POST to /v1/batch: Not Found; check --host",
        "unknown",
        404,
    ),
    "429": (
        response("429 Slow", b"", "Retry-After: 100"),
        "answered 429: Slow; try again in 100 s",
        "unknown",
        429,
    ),
    "500": (
        response("500 Oops", b"", "Retry-After: 100"),
        "answered 500: Oops; try again later",
        "unknown",
        500,
    ),
    "302": (
        response("302 Found", b"", "Location: https://elsewhere.test/x"),
        "answered 302, a redirect to https://elsewhere.test; set --host to where the API is",
        "redirect",
        302,
    ),
    "garbage": (
        b"\x1b[31mgarbage\r\n\r\n",
        "; to find out why, run segment-librato doctor",
        "network",
        None,
    ),
    "reset": (
        Ending.RESET,
        "; to find out why, run segment-librato doctor",
        "network",
        None,
    ),
    "silence": (
        FOREVER,
        "; to find out why, run segment-librato doctor",
        "network",
        None,
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_message_that_does_not_arrive_is_status_1(name: str) -> None:
    step, problem, code, status = FAILURES[name]
    with RawServer(lambda: [step]) as server:
        timeout = "10" if status else "0.5"  # the others are tried again
        arguments = (*TRACK, "--timeout", timeout, "--host", server.host)
        result = run(*arguments, "--json", status=1, SEGMENT_WRITE_KEY=KEY)
    text = complaint(result).removeprefix("not delivered: ")
    assert text.startswith("127.0.0.1")
    assert text.endswith(problem)
    (record,) = records(result)
    assert record["messageId"]
    assert {**record, "messageId": ""} == {
        "outcome": "not delivered",
        "error": {"code": code, "status": status, "message": text},
        "type": "track",
        "messageId": "",
    }


def test_a_missing_file_of_authorities_is_status_1() -> None:
    """The input was right: a script may try again when the setting is."""
    arguments = (*TRACK, "--host", "https://127.0.0.1:1")
    result = run(*arguments, status=1, SEGMENT_WRITE_KEY=KEY, REQUESTS_CA_BUNDLE="/nowhere")
    assert complaint(result) == (
        "not delivered: 127.0.0.1:1: the file of REQUESTS_CA_BUNDLE cannot be used: "
        "No such file or directory"
    )


@pytest.mark.parametrize("options,is_told", [((), True), (("-q",), False)])
def test_a_warning_is_told_unless_it_is_quiet(options: tuple[str, ...], is_told: bool) -> None:
    with RawServer(lambda: [response("200 OK", b"<p>", "Content-Type: text/html")]) as server:
        result = run(*TRACK, *options, "--host", server.host, SEGMENT_WRITE_KEY=KEY)
    place = f"127.0.0.1:{server.port}"
    text = f"segment-librato: {place} answered with a web page; is --host where the API is?\n"
    assert result.stderr == (text if is_told else "")
