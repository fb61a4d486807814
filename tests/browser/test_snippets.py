"""What the page copies runs as it is, whatever the message holds."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from segment_librato.devserver.page.debugger import Debugger

    Visit = Callable[..., Page]

QUOTES = 'it\'s "quoted" \\ `$HOME` \u202e \u2028 \x7f \x00 🎉 %s {} ; rm -rf x\n\ttwo lines'
NESTED = {"list": [1, 2.0, -3e300, [], {}], "none": None, "yes": True, QUOTES: QUOTES}
BASE = {"messageId": "1", "timestamp": "2026-11-28T12:00:00.1234567Z", "context": {"ip": "::1"}}
MESSAGES: list[dict[str, Any]] = [
    {"type": "track", "userId": "u", "event": QUOTES, "properties": NESTED},
    {"type": "track", "anonymousId": "a", "event": "E", "name": "no argument", "traits": {"a": 1}},
    {"type": "identify", "userId": "u", "traits": NESTED, "event": None},
    {"type": "page", "userId": "u", "category": "Docs", "name": QUOTES, "properties": NESTED},
    {"type": "screen", "userId": "u", "name": "Settings"},
    {"type": "group", "userId": "u", "groupId": "acme", "traits": NESTED},
    {"type": "alias", "userId": "u", "previousId": "a", "anonymousId": None},
]
MAKE = """async ([make, message, host]) => {
    const snippets = await import("/static/snippets.js");
    const { parseJson } = await import("/static/json.js");
    return snippets[make](parseJson(message), host);
}"""


def make(page: Page, what: str, message: dict[str, Any], debugger: Debugger) -> str:
    """Return a message as the page copies it."""
    text = json.dumps(message)
    return str(page.evaluate(MAKE, [what, text, debugger.host]))


def test_a_program_makes_the_call_that_made_the_message(visit: Visit, debugger: Debugger) -> None:
    page = visit()
    programs = [make(page, "asPython", BASE | message, debugger) for message in MESSAGES]
    run = "\n".join(programs)
    subprocess.run([sys.executable, "-W", "error", "-c", run], check=True)  # noqa: S603  what a person would do
    received = debugger.server.messages
    assert [message["type"] for message in received] == [message["type"] for message in MESSAGES]
    for sent, message in zip(MESSAGES, received, strict=True):
        assert message["timestamp"] == "2026-11-28T12:00:00.123+00:00"
        assert message["context"]["ip"] == "::1"
        for key in sent.keys() - {"name", "traits"} if sent["type"] == "track" else sent:
            assert repr(message.get(key)) == repr(sent[key])
    assert '# The message also has: "name", "traits"' in programs[1]


def test_a_command_sends_the_message_as_it_is(visit: Visit, debugger: Debugger) -> None:
    page = visit()
    commands = [
        make(page, "asCurl", BASE | message | {"messageId": str(number)}, debugger)
        for number, message in enumerate(MESSAGES)
    ]
    script = "set -e\n" + "\n".join(commands)
    subprocess.run(["/bin/sh", "-c", script], check=True, capture_output=True)  # noqa: S603  what a person would do
    for sent, message in zip(MESSAGES, debugger.server.messages, strict=True):
        assert repr({key: message[key] for key in sent}) == repr(sent)


def test_a_test_expects_what_the_message_has(visit: Visit, debugger: Debugger) -> None:
    page = visit()
    runs = ["from datetime import datetime"]
    for message in MESSAGES:
        test = make(page, "asTest", BASE | message, debugger)
        program = make(page, "asPython", BASE | message, debugger)
        call = program.partition("analytics.host = ")[2].partition("\n")[2]
        call = call.replace("analytics.flush()", "").replace("analytics.", "client.", 1)
        indented = "".join(f"        {line}\n" for line in call.splitlines())
        completed = test.replace("        ...  # the code that tracks it with `client`\n", indented)
        assert completed != test
        name = test.partition("def ")[2].partition("(")[0]
        runs.append(f"{completed}\n{name}()")
    run = "\n".join(runs)
    subprocess.run([sys.executable, "-W", "error", "-c", run], check=True)  # noqa: S603  what a person would do
