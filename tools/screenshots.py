"""Write the pictures of the debugger's page that the documentation shows.

    make screenshots

What is seen is real: clients track into a debugger that runs here, among them the four web servers
of the demo, and Chromium takes the pictures.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import requests
from playwright.sync_api import sync_playwright

from segment_librato import Client
from segment_librato.devserver.demo.plan import EVENT, SECONDS, WEB_SERVERS
from segment_librato.devserver.page.debugger import Debugger
from segment_librato.devserver.watching import watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Page

FOLDER = Path(__file__).parent.parent / "docs/images"
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
STEP = 13  # seconds between two values of a web server: they fill a quarter of an hour
TIMEOUT = 20_000  # ms
TOO_MANY = 429
LARGE = 40_000  # characters, more than the API takes

USERS = ("ada", "grace", "linus", "margaret")
PLANS = ("free", "pro")


class Picture(NamedTuple):
    """A picture to take.

    Attributes:
        name: of its file.
        view: the part of the URL after `#`.
        theme: "light" or "dark".
        arrange: brings the page into the state that is shown.
        width: of the window, in pixels.
        height: the same.
    """

    name: str
    view: str
    theme: Literal["dark", "light"]
    arrange: Callable[[Page], object]
    width: int = 1360
    height: int = 820


def main() -> int:
    """Take all pictures; return the exit status."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with Debugger() as debugger, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        _take(browser, debugger, Picture("debugger-empty", "events", "light", _look_away))
        with (
            Client("demo", host=debugger.host) as client,
            watch(client, debugger.host, "web servers"),
        ):
            _track(client)
            _make_mistakes(debugger)
            _make_trouble(debugger, client)
            for picture in PICTURES:
                _take(browser, debugger, picture)
        browser.close()
    return 0


def _track(client: Client) -> None:
    began = int(time.time()) - SECONDS * STEP
    for second in range(SECONDS):
        for web_server in WEB_SERVERS:
            client.track(
                web_server.user_id,
                EVENT,
                {"value": web_server.values[second]},
                {"Librato": {"source": web_server.source}},
                began + second * STEP,
            )
        if second % 2:
            for number, worker in enumerate(WEB_SERVERS[:2]):
                depth = {"value": worker.values[-second] / 8 + number}
                source = {"Librato": {"source": f"worker-{number + 1}"}}
                client.track("queue", "queue.depth", depth, source, began + second * STEP)
    for number in range(24):
        user, plan = USERS[number % 4], PLANS[number % 3 == 0]
        moment = began + number * SECONDS * STEP // 24
        product = {"sku": f"A-{number % 7}", "value": 14 + number % 7 * 5}
        client.track(user, "Product Viewed", product, timestamp=moment)
        if number % 2:
            properties = {"plan": plan, "value": 20 + number * 3, "items": [{"sku": "A-1"}]}
            client.track(user, "Order Completed", properties, timestamp=moment)
        if number % 5 == 0:
            client.identify(user, {"plan": plan, "email": f"{user}@example.com"})
            client.page(user, "Docs", "Quickstart")
        client.flush()


def _make_mistakes(debugger: Debugger) -> None:
    """Send what the API does not accept."""
    messages: list[dict[str, Any]] = [
        {"type": "track", "userId": "ada", "event": "Signed Up", "messageId": "signed-up-1"},
        {"type": "track", "userId": "ada", "event": "Signed Up", "messageId": "signed-up-1"},
        {"type": "track", "event": "Cart Emptied"},
        {"type": "track", "userId": "grace"},
        {"type": "track", "userId": "linus", "event": "Report Uploaded", "text": "x" * LARGE},
    ]
    for message in messages:
        _post(debugger, "/v1/batch", {"writeKey": "demo", "batch": [message]})


def _make_trouble(debugger: Debugger, client: Client) -> None:
    """Have a request met by trouble, and the next ones be about to."""
    debugger.server.respond(503, times=2, headers={"Retry-After": "0"})
    client.track("ada", "Order Completed", {"plan": "pro", "value": 99, "items": [{"sku": "B-7"}]})
    client.flush()
    _post(debugger, "/faults", {"kind": "429", "times": 3, "retry_after": 2})
    for user in USERS:
        client.track(user, "Invoice Paid", {"value": 12})
    debugger.server.wait_until(lambda: debugger.server.requests[-1].status == TOO_MANY)


def _post(debugger: Debugger, path: str, content: dict[str, Any]) -> None:
    requests.post(f"{debugger.host}{path}", json=content, timeout=10)


def _look_away(page: Page) -> None:
    """Leave it as it is."""
    page.locator("#events, #event-column").first.wait_for()


def _open_order(page: Page) -> None:
    page.locator(".event", has_text="Order Completed").first.click()
    page.get_by_role("tab", name="Changes").click()
    page.locator(".changes").wait_for()


def _open_payload(page: Page) -> None:
    page.locator(".event", has_text="Order Completed").first.click()
    page.locator(".payload").wait_for()


def _hover_chart(page: Page) -> None:
    plot = page.locator(".plot[data-lines]").first
    plot.wait_for()
    box = plot.bounding_box()
    if box is not None:
        page.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + box["height"] * 0.4)
    page.locator(".hoverlayer .legend, .hoverlayer g").first.wait_for()


def _wait_for_requests(page: Page) -> None:
    page.locator(".request .status.is-bad").first.wait_for()
    page.locator(".client").wait_for()


PICTURES = (
    Picture("debugger-events", "events", "light", _open_payload),
    Picture("debugger-events-dark", "events", "dark", _open_payload),
    Picture("debugger-changes", "events?event=Order", "light", _open_order),
    Picture("debugger-gauges", "gauges", "light", _hover_chart),
    Picture("debugger-gauges-dark", "gauges", "dark", _hover_chart),
    Picture("debugger-requests", "requests", "light", _wait_for_requests),
    Picture("debugger-small", "events", "dark", _look_away, 400, 820),
)


def _take(browser: Browser, debugger: Debugger, picture: Picture) -> None:
    context = browser.new_context(
        viewport={"width": picture.width, "height": picture.height},
        color_scheme=picture.theme,
        reduced_motion="reduce",
    )
    context.set_default_timeout(TIMEOUT)
    page = context.new_page()
    page.goto(f"{debugger.host}/#{picture.view}")
    page.get_by_text("Live", exact=True).wait_for(state="attached")
    picture.arrange(page)
    path = FOLDER / f"{picture.name}.png"
    page.screenshot(path=path)
    sys.stdout.write(f"{path.relative_to(FOLDER.parent.parent)}\n")
    context.close()


if __name__ == "__main__":
    sys.exit(main())
