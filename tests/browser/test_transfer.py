"""Events leave as JSON lines and come back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from segment_librato import Client

    Visit = Callable[..., Page]


def test_what_is_exported_can_be_imported(visit: Visit, client: Client) -> None:
    for number in range(3):
        client.track("ada", "Order Completed", {"number": number})
    client.track("ada", "Signed Up", {"text": "äöü €"})
    client.flush()
    page = visit("events?event=order")
    expect(page.locator(".event")).to_have_count(3)
    with page.expect_download() as started:
        page.get_by_role("link", name="Export as JSON lines").click()
    path = started.value.path()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["message"]["properties"]["number"] for line in lines] == [0, 1, 2]
    page.get_by_role("button", name="Clear all events").click()
    page.get_by_role("button", name="Clear everything").click()
    expect(page.get_by_text("Waiting for the first event")).to_be_visible()
    page.locator("#import").set_input_files(path)
    expect(page.get_by_text("3 events imported")).to_be_visible()
    expect(page.locator(".event")).to_have_count(3)


def test_a_large_file_is_imported_in_parts(visit: Visit) -> None:
    page = visit()
    text = "€" * 300
    lines = [
        json.dumps(
            {"type": "track", "userId": "u", "event": f"E{number}", "x": text}, ensure_ascii=False
        )
        for number in range(6000)
    ]
    content = "\n".join([*lines, "not JSON"]).encode()
    assert len(content) > 4 * 1024 * 1024
    page.locator("#import").set_input_files(
        {"name": "events.jsonl", "mimeType": "text/plain", "buffer": content}
    )
    expect(page.get_by_text("6,000 events imported, 1 line skipped")).to_be_visible()
    expect(page.locator("#list-status")).to_have_text("6,000 events")
