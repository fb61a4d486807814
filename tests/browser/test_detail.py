"""One event: what is said of it, and what can be done with it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from support.local_server import batch, post, track

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from segment_librato import Client
    from segment_librato.devserver.page.debugger import Debugger

    Visit = Callable[..., Page]

LARGE = 12345678901234567890  # JavaScript has no such number
PROPERTIES = {"plan": "pro", "value": 42, "large": LARGE, "items": [1, {"a": None, "b": "it's \""}]}


def open_newest(page: Page) -> None:
    page.locator('.event[data-index="0"]:not(.is-loading)').click()
    page.locator("#detail .facts").wait_for()


def copied(page: Page, what: str) -> str:
    group = page.get_by_role("group", name="Copy as")
    group.get_by_role("button", name=what, exact=True).click()
    expect(page.get_by_text(f"{what} copied")).to_be_visible()
    return str(page.evaluate("navigator.clipboard.readText()"))


def without_times(message: dict[str, Any]) -> dict[str, Any]:
    """Return what a client does not make anew for each message."""
    made_anew = {"messageId", "timestamp", "sentAt", "originalTimestamp"}
    return {key: value for key, value in message.items() if key not in made_anew}


@pytest.fixture
def order(client: Client) -> dict[str, Any]:
    """An event that was tracked."""
    client.track("ada", "Order Completed", PROPERTIES, {"Librato": {"source": "web-1"}})
    client.flush()
    return PROPERTIES


@pytest.mark.usefixtures("order")
def test_an_event_is_shown_with_all_that_is_known_of_it(visit: Visit) -> None:
    page = visit()
    open_newest(page)
    detail = page.locator("#detail")
    expect(detail.locator("h2")).to_have_text("Order Completed")
    expect(detail.locator(".verdict")).to_have_text("Accepted")
    expect(detail.locator(".facts")).to_contain_text("42 Order-Completed")
    expect(detail.locator(".facts")).to_contain_text("context.Librato.source")
    expect(detail.locator(".facts")).to_contain_text("of 32 KB")
    expect(detail.locator(".facts")).to_contain_text("POST /v1/batch, 200, 1 message")
    expect(detail.locator(".payload")).to_contain_text(f"large: {LARGE}")
    page.reload()  # the event is in the URL
    expect(detail.locator("h2")).to_have_text("Order Completed")


def test_the_api_says_why_an_event_was_not_accepted(visit: Visit, debugger: Debugger) -> None:
    post(debugger.server, batch(track(userId=None)))
    page = visit()
    open_newest(page)
    expect(page.locator("#detail .verdict")).to_contain_text("Rejected")
    expect(page.locator("#detail .verdict")).to_contain_text("Identifier is not present")
    expect(page.locator("#detail .facts")).to_contain_text("None, because")


def test_what_the_spec_has_against_an_event_is_listed(visit: Visit, client: Client) -> None:
    client.track("ada", "Order completed", {"value": "many"})
    client.track("ada", "Signed Up", {"username": "ada"})
    client.flush()
    page = visit()
    open_newest(page)
    expect(page.locator("#detail .fact-problems")).to_have_count(0)
    page.locator('.event[data-index="1"]').click()
    problems = page.locator("#detail .fact-problems li")
    expect(problems).to_have_text(
        [
            'event "Order completed" looks like "Order Completed"',
            "properties.value is a string, not a number",
        ]
    )


def test_an_event_is_compared_with_the_one_before_of_its_name(visit: Visit, client: Client) -> None:
    client.track("ada", "Order Completed", {"value": 1, "gone": True, "same": [1, 2]})
    client.track("ada", "Something Else")
    client.track("ada", "Order Completed", {"value": 2, "same": [1, 2], "new key": {"a": 1}})
    client.flush()
    page = visit()
    open_newest(page)
    page.get_by_role("tab", name="Changes (3)").click()
    changes = page.locator("#detail .changes > ul > li")
    expect(changes).to_have_count(3)
    texts = {" ".join(one.inner_text().split()) for one in changes.all()}
    assert texts == {
        "properties.value changed 1 2",
        "properties.gone removed true",
        'properties."new key" added {"a":1}',
    }
    page.get_by_role("button", name="the previous one").click()
    expect(page.locator("#detail")).to_contain_text("nothing to compare it with")


@pytest.mark.usefixtures("order")
def test_it_is_copied_as_json_with_every_digit(visit: Visit, debugger: Debugger) -> None:
    page = visit()
    open_newest(page)
    assert json.loads(copied(page, "JSON")) == debugger.server.messages[0]


@pytest.mark.usefixtures("order")
def test_it_is_copied_as_a_curl_command_that_sends_it(visit: Visit, debugger: Debugger) -> None:
    page = visit()
    open_newest(page)
    command = copied(page, "curl")
    debugger.server.forget()
    subprocess.run(["/bin/sh", "-c", command], check=True, capture_output=True)  # noqa: S603  what a person would do
    [message] = debugger.server.messages
    assert message["properties"] == PROPERTIES


@pytest.mark.usefixtures("order")
def test_it_is_copied_as_a_program_that_tracks_it(visit: Visit, debugger: Debugger) -> None:
    page = visit()
    open_newest(page)
    [before] = debugger.server.messages
    program = copied(page, "Python")
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603  what a person would do
    after = debugger.server.messages[-1]
    assert after["messageId"] != before["messageId"]
    assert without_times(after) == without_times(before)
    assert after["timestamp"] == before["timestamp"]


@pytest.mark.usefixtures("order")
def test_it_is_copied_as_a_test_that_expects_it(visit: Visit) -> None:
    page = visit()
    open_newest(page)
    test = copied(page, "test")
    call = f'client.track("ada", "Order Completed", {PROPERTIES!r}, '
    completed = test.replace("...  #", f"{call}{{'Librato': {{'source': 'web-1'}}}})  #")
    run = f"{completed}\ntest_order_completed()\n"
    subprocess.run([sys.executable, "-c", run], check=True)  # noqa: S603  what a person would do
    wrong = run.replace('"plan": "pro"', '"plan": "free"')
    assert wrong != run
    failed = subprocess.run([sys.executable, "-c", wrong], check=False, capture_output=True)  # noqa: S603  the same
    assert b"AssertionError" in failed.stderr


@pytest.mark.usefixtures("order")
def test_it_is_sent_again(visit: Visit, debugger: Debugger) -> None:
    page = visit()
    open_newest(page)
    page.get_by_role("button", name="Send again").click()
    expect(page.locator("#detail .verdict")).to_contain_text("Event dropped during deduplication")
    expect(page.locator(".event")).to_have_count(2)
    expect(page.locator('.event[aria-selected="true"]')).to_have_attribute("data-index", "0")
    assert debugger.server.duplicates == 1


@pytest.mark.usefixtures("order")
def test_it_is_edited_and_sent(visit: Visit, debugger: Debugger) -> None:
    page = visit()
    open_newest(page)
    page.get_by_role("tab", name="Edit").click()
    editor = page.get_by_label("The message as JSON")
    text = editor.input_value()
    editor.fill(text + "}")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#editor-problem")).not_to_be_empty()
    edited = json.loads(text) | {"messageId": "edited", "event": "Order Edited"}
    editor.fill(json.dumps(edited))
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#detail h2")).to_have_text("Order Edited")
    assert debugger.server.messages[-1] == edited


def test_what_javascript_cannot_hold_arrives_unchanged(visit: Visit, debugger: Debugger) -> None:
    post(
        debugger.server, batch(track("1", properties={"large": LARGE, "float": 2.0, "far": 3e300}))
    )
    page = visit()
    open_newest(page)
    page.get_by_role("tab", name="Edit").click()
    editor = page.get_by_label("The message as JSON")
    editor.fill(editor.input_value().replace('"1"', '"2"'))
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".event")).to_have_count(2)
    first, second = debugger.server.messages
    assert repr(first["properties"]) == repr(second["properties"])


def test_a_payload_that_is_very_deep_or_very_long_is_plain_text(
    visit: Visit, debugger: Debugger
) -> None:
    deep: list[Any] = []
    for _ in range(200):
        deep = [deep]
    for value in (deep, list(range(5000))):
        post(debugger.server, batch(track(properties={"value": value})))
    page = visit()
    for place in ("0", "1"):
        page.locator(f'.event[data-index="{place}"]:not(.is-loading)').click()
        expect(page.locator("#detail pre.payload")).to_be_visible()
