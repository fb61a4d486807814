"""Everything from an event is text, and the page asks nobody else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from support.debugger import ask
from support.local_server import batch, post, track

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from segment_librato.devserver.page.debugger import Debugger

    Visit = Callable[..., Page]

EVIL = "<img src=x onerror=alert(1)>"
HEADERS = {
    "Authorization": "Basic YWRhQGV4YW1wbGUuY29tOnRva2Vu",  # ada@example.com:token
    "Content-Type": "application/json",
}
EVIL_GAUGE = "-img-src-x-onerror-alert-1--"  # Librato's names have no such characters


@pytest.fixture
def evil(debugger: Debugger) -> None:
    """Events with markup wherever there is a text."""
    fields: dict[str, Any] = {
        "userId": EVIL,
        "event": EVIL,
        "properties": {EVIL: EVIL, "value": 1},
        "context": {"Librato": {"source": EVIL}},
    }
    for message in (
        track(EVIL, **fields),
        track(EVIL, **fields),  # a duplicate
        track(**fields | {"properties": {EVIL: [EVIL]}}),
        track(**fields | {"type": EVIL}),
        {"type": "page", "userId": EVIL, "name": EVIL},
        {"type": "group", "userId": EVIL, "groupId": EVIL},
    ):
        post(debugger.server, batch(message))
    ask(debugger, "/clients", {"name": EVIL, "stats": {"accepted": EVIL, "delivered": 1}})
    gauges = {"gauges": [{"name": "direct", "value": 1, "source": "web-1"}]}
    post(debugger.server, gauges, path="/v1/metrics", headers=HEADERS)
    name = {"display_name": EVIL}
    post(debugger.server, name, path="/v1/metrics/direct", headers=HEADERS, method="PUT")


def count_elements(page: Page) -> int:
    """Return how many elements the page has that only markup of an event would make."""
    return int(page.locator("img[src='x'], img[onerror], [onerror]").count())


@pytest.mark.usefixtures("evil")
def test_markup_in_an_event_stays_text_everywhere(visit: Visit) -> None:
    page = visit()
    expect(page.locator(".event")).to_have_count(6)
    expect(page.locator(".event-name").first).to_have_text(EVIL)
    expect(page.locator(".name-text", has_text=EVIL).first).to_be_visible()
    assert count_elements(page) == 0
    for place in range(6):
        page.locator(f'.event[data-index="{place}"]').click()
        expect(page.locator("#detail h2")).to_have_text(EVIL)
        for tab in ("Payload", "Changes", "Edit"):
            page.get_by_role("tab", name=tab).click()
            expect(page.locator("#tab-content")).not_to_be_empty()
            assert count_elements(page) == 0
    page.locator("#search").fill(EVIL)
    expect(page.locator(".chip-value")).to_have_text(EVIL)
    assert count_elements(page) == 0


@pytest.mark.usefixtures("evil")
def test_markup_stays_text_in_charts_and_requests(visit: Visit) -> None:
    page = visit("gauges")
    expect(page.locator(".gauge h2", has_text=EVIL_GAUGE).first).to_be_visible()
    expect(page.locator(".gauge h2", has_text=EVIL)).to_be_visible()
    expect(page.locator(".scatterlayer .trace").first).to_be_attached()
    page.locator(".gauge .plot").first.hover()
    assert count_elements(page) == 0
    page.get_by_role("link", name="Requests").click()
    expect(page.locator(".client h3")).to_have_text(EVIL)
    expect(page.locator(".request").first).to_be_visible()
    assert count_elements(page) == 0


def test_what_would_not_be_seen_is_shown(visit: Visit, debugger: Debugger) -> None:
    names = ["\u202egnp.exe", "a\x00\x1b[31m\u200b", "   ", "👩‍👧 שלום"]
    for name in names:
        post(debugger.server, batch(track(event=name, userId=name, properties={name: name})))
    page = visit()
    shown = [r"\u202egnp.exe", r"a\u0000\u001b[31m\u200b", '"   "', names[3]]
    for place, text in enumerate(reversed(shown)):
        row = page.locator(f'.event[data-index="{place}"]')
        expect(row.locator(".event-name")).to_have_text(text)
        row.click()
        expect(page.locator("#detail h2")).to_have_text(text)
    assert r'"\u202egnp.exe"' in page.evaluate(
        "async () => (await import('/static/json.js')).formatJson('\\u202egnp.exe')"
    )


def test_a_filter_in_a_link_stays_text(visit: Visit) -> None:
    page = visit(f"events?text={EVIL}&type={EVIL}")
    expect(page.locator(".chip-value")).to_have_text([EVIL, EVIL])
    assert count_elements(page) == 0


def test_an_imported_event_stays_text(visit: Visit) -> None:
    page = visit()
    line = json.dumps({"type": "track", "userId": "u", "event": EVIL})
    page.locator("#import").set_input_files(
        {"name": "events.jsonl", "mimeType": "text/plain", "buffer": line.encode()}
    )
    expect(page.locator(".event-name")).to_have_text(EVIL)
    assert count_elements(page) == 0
