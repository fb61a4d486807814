"""A debugger, its page in Debian's Chromium, and a client that tracks into it.

After each test, the page must have asked no other host for anything, and have nothing to complain
of in its console: what its Content-Security-Policy forbids would stand there, too.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect, sync_playwright

from segment_librato import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, ViewportSize

    from segment_librato.devserver.page.debugger import Debugger

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
TIMEOUT = 60_000  # ms, for a machine that is loaded
WIDE: ViewportSize = {"width": 1600, "height": 960}


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    expect.set_options(timeout=TIMEOUT)
    # A sandbox in a container needs rights that root does not have there.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def client(debugger: Debugger) -> Iterator[Client]:
    with Client("any-key", host=debugger.host, upload_interval=0.05) as made:
        yield made


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    made = chromium.new_context(
        viewport=WIDE,
        reduced_motion="reduce",
        permissions=["clipboard-read", "clipboard-write"],
        accept_downloads=True,
    )
    made.set_default_timeout(TIMEOUT)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext, debugger: Debugger) -> Iterator[Page]:
    """A page that shows nothing yet, see `visit`."""
    made = context.new_page()
    hosts: set[str] = set()
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        complaints.append(f"{message.type}: {message.text} ({message.location['url']})")

    made.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    made.on("console", note)
    made.on("pageerror", lambda error: complaints.append(str(error)))
    made.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    yield made
    made.close()
    assert complaints == []
    assert hosts <= {urlsplit(debugger.host).netloc, ""}  # data: URLs have no host


@pytest.fixture
def visit(page: Page, debugger: Debugger) -> Callable[[str], Page]:
    """Show a view, once it is connected."""

    def show(view: str = "events") -> Page:
        page.goto(f"{debugger.host}/#{view}")
        page.get_by_text("Live", exact=True).wait_for()
        return page

    return show
