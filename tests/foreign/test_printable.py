"""Text from outside: whatever a server or a name holds, a log line stays one line of plain text."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st
from support.errors import Errors
from support.raw_server import RawServer

from segment_librato import Client, LibratoConfig, OpenTelemetryConfig
from segment_librato.errors import APIError, SegmentError
from segment_librato.foreign.printable import printable
from segment_librato.http.response import MAX_TEXT_LENGTH, redact
from segment_librato.log import log

if TYPE_CHECKING:
    from collections.abc import Callable

# an escape sequence, a line break, C1, and a character that reverses the text
HOSTILE = "a\x1b[2J\r\nERROR forged\x9b31m\u202eb"
SHOWN = "a\\x1b[2J\\r\\nERROR forged\\x9b31m\\u202eb"
JSON = json.dumps({"code": HOSTILE, "message": HOSTILE, "errors": [HOSTILE]}).encode()
PROTOBUF = Status(message=HOSTILE).SerializeToString()
FOLDED = b"Location: http://a\x1b.test\x9b/\r\n folded\r\n"


@pytest.mark.parametrize(
    "text, shown",
    [
        ("Signed Up, já 注册", "Signed Up, já 注册"),
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("a\r\nb\tc\x7f\x9b", "a\\r\\nb\\tc\\x7f\\x9b"),
        ("\u202eright to left\u2028", "\\u202eright to left\\u2028"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_could_confuse_a_reader_becomes_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_what_a_server_says_is_printable_and_short(text: str) -> None:
    error = APIError(400, redact(text, ()), text, text=text)
    for shown in (error.code, error.message, str(error), redact(text, ())):
        assert shown.isprintable()
    assert len(redact(text, ())) <= MAX_TEXT_LENGTH
    assert SegmentError(text).message == str(SegmentError(text)) == printable(text)


def test_a_log_line_stays_one_line(caplog: pytest.LogCaptureFixture) -> None:
    log.warning("%s: %d", HOSTILE, 3)
    log.warning("%s", SegmentError(HOSTILE))
    assert [record.getMessage() for record in caplog.records] == [f"{SHOWN}: 3", SHOWN]


ACCOUNTS: dict[str, Callable[[str], dict[str, Any]]] = {
    "segment": lambda host: {"write_key": "key", "host": host},
    "librato": lambda host: {"gauges": LibratoConfig("a@b.c", "token", host=host)},
    "otlp": lambda host: {"gauges": OpenTelemetryConfig(host)},
}


@pytest.mark.parametrize("status", [302, 400, 401, 404])
@pytest.mark.parametrize("body", [JSON, PROTOBUF], ids=["json", "protobuf"])
@pytest.mark.parametrize("account", ACCOUNTS)
def test_a_server_cannot_write_to_the_terminal_of_who_reads_its_error(
    account: str, body: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    reason = HOSTILE.encode("latin-1", "replace").replace(b"\r\n", b" ")
    head = b"HTTP/1.1 %d %b\r\n%bContent-Length: %d\r\n\r\n" % (status, reason, FOLDED, len(body))
    on_error = Errors()
    with RawServer(lambda: [head + body]) as server:
        client = Client(**ACCOUNTS[account](server.host), on_error=on_error)
        client.gauge("g", 1)
        client.shutdown()
    [(error, _)] = on_error.calls
    assert isinstance(error, SegmentError)
    for shown in (str(error), error.message, error.code, *error.args):
        assert shown.isprintable()
    assert all(record.getMessage().isprintable() for record in caplog.records)
    if (account, body, status) == ("segment", JSON, 400):
        assert (error.code, error.message) == (SHOWN, SHOWN)


def test_a_property_cannot_forge_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    kind = type(HOSTILE, (), {"__slots__": ()})
    client = Client("key", send=False)
    client.track("user", "event", {HOSTILE: kind()})
    [record] = caplog.records
    assert record.getMessage().isprintable()
    assert SHOWN in record.getMessage()
