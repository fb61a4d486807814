"""A process that is frozen when its handler returns."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from support.examples import EXAMPLES, command, run, running

if TYPE_CHECKING:
    from segment_librato.devserver import LocalSegment

FOLDER = EXAMPLES / "aws_lambda"
# Invocations, one for each line of stdin, with so many seconds left. What takes longer ends the
# process, with a bit more time for a busy machine; the process is stopped without an exit.
INSTANCE = """
import json, os, signal, sys
from pathlib import Path
from lambda_function import lambda_handler

class Context:
    def __init__(self, seconds):
        self.seconds = seconds

    def get_remaining_time_in_millis(self):
        return int(self.seconds * 1000)

event = json.loads(Path("event.json").read_text())
for line in sys.stdin:
    order_id, seconds = line.split()
    event["body"] = json.dumps({"user_id": "ada", "order_id": order_id, "revenue": 42.5})
    signal.setitimer(signal.ITIMER_REAL, float(seconds) + 0.4)
    print(json.dumps(lambda_handler(event, Context(float(seconds)))), flush=True)
    signal.setitimer(signal.ITIMER_REAL, 0)
os._exit(0)
"""


def test_nothing_has_to_run_after_the_handler_has_returned(server: LocalSegment) -> None:
    output, errors = run(server.host, FOLDER, *command("aws_lambda", "python invoke.py"))
    assert json.loads(output) == {"statusCode": 201, "body": '{"order_id": "order-1"}'}
    assert errors == ""
    (message,) = server.messages
    assert (message["event"], message["userId"]) == ("Order Completed", "ada")
    assert message["properties"] == {"order_id": "order-1", "revenue": 42.5, "currency": "EUR"}
    assert message["context"]["ip"] == "203.0.113.7"


def test_the_handler_returns_in_time_and_the_next_invocation_delivers_what_waits(
    server: LocalSegment,
) -> None:
    words = [sys.executable, "-u", "-c", INSTANCE]
    with server.hold(), running(server, "aws_lambda", *words) as process:
        assert process.stdin
        assert process.stdout
        for order_id, seconds in [("order-1", 2.0), ("order-2", 1.0)]:
            process.stdin.write(f"{order_id} {seconds}\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["statusCode"] == 201
            assert server.messages == []
        server.release()
        output, errors = process.communicate("order-3 10\n", timeout=240)
    assert json.loads(output)["statusCode"] == 201
    assert [line for line in errors.splitlines() if "wait for the next" in line] == [
        "events that wait for the next invocation: 1",
        "events that wait for the next invocation: 2",
    ]
    orders = [message["properties"]["order_id"] for message in server.messages]
    assert orders == ["order-1", "order-2", "order-3"]


def test_without_a_server_the_response_comes_and_a_warning_says_what_waits() -> None:
    output, errors = run("http://127.0.0.1:9", FOLDER, *command("aws_lambda", "python invoke.py"))
    assert json.loads(output)["statusCode"] == 201
    assert "events that wait for the next invocation: 1" in errors
