"""What docs/troubleshooting.md shows of logs, exceptions and commands."""

from __future__ import annotations

import json
import logging
import socket
from typing import TYPE_CHECKING

import pytest
from support.marks import needs_shell
from support.pages import Block, blocks_for
from support.programs import ADDRESS
from support.sessions import Shell, Step, steps

from segment_librato import Client, MessageTooLargeError, ValidationError

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

pytestmark = [pytest.mark.once, needs_shell]

DOCTOR, TOO_LARGE, NO_USER, EXPLAIN, LOG_401, CHECK, LOG_REFUSED, PROXY = blocks_for(__file__)
EVENTS = (
    {"type": "track", "userId": "ada", "event": "Order completed", "properties": {"order_id": "1"}},
    {"type": "track", "event": "Signed Up"},
    {"type": "track", "userId": "ada"},
    {"type": "track", "userId": "ada", "event": "Report Built", "properties": {"x": "x" * 33_000}},
)


def is_excerpt(part: str, whole: str) -> bool:
    """Whether the lines of one text are in another, in their order."""
    lines = iter(whole.splitlines())
    return all(line in lines for line in part.splitlines())


@pytest.fixture
def shell(tmp_path: Path, server: LocalSegment) -> Shell:
    lines = "".join(f"{json.dumps(event)}\n" for event in EVENTS)
    (tmp_path / "events.jsonl").write_text(lines, encoding="utf-8")
    return Shell(tmp_path, server)


@pytest.mark.parametrize("block", [EXPLAIN, CHECK], ids=lambda one: one.place)
def test_the_commands_for_a_file_write_what_the_page_says(shell: Shell, block: Block) -> None:
    shell.check(steps([block]))


@pytest.mark.parametrize(
    "block, environment",
    [
        (DOCTOR, "SEGMENT_HOST=http://127.0.0.1:1"),
        (PROXY, "SEGMENT_HOST=https://api.segment.io SEGMENT_WRITE_KEY=YOUR_WRITE_KEY"),
    ],
    ids=["nobody listens", "proxy"],
)
def test_the_doctor_says_what_the_page_has_of_it(
    shell: Shell, block: Block, environment: str
) -> None:
    shell.run(Step("", f"export {environment}", None))
    (step,) = steps([block])
    assert is_excerpt(step.output or "", written := shell.run(step)), written


def test_the_exceptions_are_those_of_calls(server: LocalSegment) -> None:
    with Client("key", server.host) as client:
        with pytest.raises(MessageTooLargeError) as too_large:
            client.track("ada", "Report Built", {"report": "x" * 40_000})
        with pytest.raises(ValidationError) as no_user:
            client.track(None, "Signed Up")
    for block, error in ((TOO_LARGE, too_large.value), (NO_USER, no_user.value)):
        assert f"{type(error).__name__}: {error}\n" == block.text


def test_the_log_of_what_fails(server: LocalSegment, caplog: pytest.LogCaptureFixture) -> None:
    server.respond(401)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    for host, block in ((server.host, LOG_401), (nobody, LOG_REFUSED)):
        caplog.clear()
        with Client("key", host, max_retries=1) as client:
            client.track("ada", "Signed Up")
        lines = [
            f"{record.levelname} {record.name} {record.getMessage()}\n"
            for record in caplog.records
            if record.name == "segment" and record.levelno >= logging.WARNING
        ]
        written = "".join(lines).replace(host.removeprefix("http://"), ADDRESS)
        assert written == block.text
