"""A hundred thousand events, and ten thousand a second."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from support.debugger import ask, fill

from segment_librato.devserver.page.debugger import Debugger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, Response

EVENTS = 100_000
MAX_ROWS = 60  # of which some 25 are visible
MAX_CHANGES = 40  # of a row that comes into view: attributes and texts, once more when it is loaded


@pytest.fixture(scope="module")
def full() -> Iterator[Debugger]:
    """A debugger with as many events as it keeps."""
    with Debugger() as running:
        fill(running, EVENTS)
        yield running


def row(page: Page, index: int) -> str:
    """Return the text of a row once it is there."""
    found = page.locator(f'.event[data-index="{index}"]:not(.is-loading)')
    found.wait_for()
    return str(found.inner_text())


# Scrolls down in steps of some eleven rows; returns how often the document changed.
SCROLL = """async (steps) => {
    const list = document.getElementById("event-list");
    let count = 0;
    const changes = new MutationObserver((records) => { count += records.length; });
    const all = { attributes: true, characterData: true, childList: true, subtree: true };
    changes.observe(list, all);
    for (let step = 0; step < steps; step++) {
        list.scrollTop += 400;
        await new Promise(requestAnimationFrame);
        await new Promise(requestAnimationFrame);
    }
    return count;
}"""


@pytest.fixture
def answers(page: Page) -> list[Response]:
    """What the page was answered when it asked for events."""
    found: list[Response] = []

    def note(response: Response) -> None:
        if "/events?" in response.url:
            found.append(response)

    page.on("response", note)
    return found


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    with chromium.new_page(viewport={"width": 1600, "height": 960}) as made:
        yield made


def test_the_first_events_need_one_request_of_some_kilobytes(
    page: Page, full: Debugger, answers: list[Response]
) -> None:
    page.goto(full.host)
    row(page, 0)
    expect(page.locator("#list-status")).to_have_text("100,000 events")
    assert len(answers) == 1
    assert len(answers[0].body()) < 100_000
    assert page.locator(".event").count() <= MAX_ROWS


def test_every_event_can_be_scrolled_to(page: Page, full: Debugger) -> None:
    page.goto(full.host)
    expect(page.locator("#list-status")).to_have_text("100,000 events")
    rows = page.locator("#event-list")
    for index in (0, 50_000, 99_990, 25_000):
        rows.evaluate(f"list => {{ list.scrollTop = {index} * 36; }}")
        assert f"Event {(EVENTS - 1 - index) % 50}" in row(page, index)
        assert page.locator(".event").count() <= MAX_ROWS


def test_scrolling_changes_only_the_rows_that_come_into_view(
    page: Page, full: Debugger, answers: list[Response]
) -> None:
    page.goto(full.host)
    row(page, 0)
    steps = 120
    changes = page.evaluate(SCROLL, steps)
    scrolled = steps * 400 // 36
    assert 1 < changes / scrolled < MAX_CHANGES
    assert page.locator(".event").count() <= MAX_ROWS
    assert len(answers) <= 2 + scrolled // 200


def test_a_filter_of_a_hundred_thousand_can_be_scrolled_to_its_end(
    page: Page, full: Debugger
) -> None:
    page.goto(f"{full.host}/#events?event=Event 7&text=number")
    # "Event 7" alone: the numbers go up to 49
    expect(page.locator("#list-status")).to_have_text("2,000 of 100,000 events")
    page.locator("#event-list").evaluate("list => { list.scrollTop = list.scrollHeight; }")
    assert "Event 7" in row(page, 1999)
    assert page.locator(".event").count() <= MAX_ROWS


def test_ten_thousand_events_at_once_are_followed(page: Page, full: Debugger) -> None:
    page.goto(full.host)
    page.locator(".event:not(.is-loading)").first.wait_for()
    lines = (
        json.dumps({"type": "track", "userId": "u", "event": "Flood", "messageId": f"flood-{n}"})
        for n in range(10_000)
    )
    ask(full, "/events", "\n".join(lines).encode())
    expect(page.locator('.event[data-index="0"]')).to_contain_text("Flood")
    assert page.locator(".event").count() <= MAX_ROWS
