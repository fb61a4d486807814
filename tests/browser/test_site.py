"""The documentation as a site, in Chromium: from a folder, and from a server.

It is built once, as `make docs` does, and looked through by its script. After each test, a page
must have loaded nothing from another host, and have nothing to complain of in its console.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

ROOT = Path(__file__).parent.parent.parent
NARROW = 400  # pixels
PAGES = [
    *("index", "tutorial", "migration", "troubleshooting", "delivery", "errors", "configuration"),
    *("debugger", "performance", "api/index", "api/client", "api/events", "internals/index"),
    "project/changelog",
]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    for command in (
        ["-m", "mkdocs", "build", "--site-dir", str(folder)],
        [str(ROOT / "tools/site/check.py"), str(folder)],
    ):
        done = subprocess.run(  # noqa: S603  our own documentation
            [sys.executable, *command], check=False, cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="session")
def served(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(params=["folder", "server"])
def address(request: pytest.FixtureRequest, site: Path) -> str:
    if request.param == "folder":
        return site.as_uri()
    served: str = request.getfixturevalue("served")
    return served


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    made = context.new_page()
    foreign: list[str] = []
    complaints: list[str] = []

    def note(url: str) -> None:
        if urlsplit(url).hostname not in {None, "127.0.0.1"}:  # file: and data: have none
            foreign.append(url)

    made.on("request", lambda request: note(request.url))
    made.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
    made.on("console", lambda message: complaints.append(message.text))
    made.on("pageerror", lambda error: complaints.append(str(error)))
    yield made
    made.close()
    assert (foreign, complaints) == ([], [])


def search(page: Page, text: str) -> None:
    """Search as a reader does: the index is loaded once the field has the focus."""
    page.get_by_role("textbox", name="Search").click()
    meta = page.locator(".md-search-result__meta")
    expect(meta).to_have_text("Type to start searching")
    page.keyboard.type(text, delay=20)
    expect(meta).to_contain_text("matching document")


def test_the_search_finds_a_function_and_a_sentence(address: str, page: Page) -> None:
    page.goto(f"{address}/index.html")
    search(page, "flush_on_sigterm")
    page.locator(".md-search-result__link").first.click()
    expect(page.locator("article")).to_contain_text("flush_on_sigterm")
    search(page, "deduplication")
    expect(page.locator(".md-search-result__list")).to_contain_text("Troubleshooting")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_phone_and_complains_of_nothing(site: Path, page: Page, name: str) -> None:
    page.set_viewport_size({"width": NARROW, "height": 800})
    page.goto(f"{site.as_uri()}/{name}.html")
    expect(page.locator("article")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == NARROW


@pytest.mark.parametrize("name", ["index", "api/index", "migration", "debugger"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(site: Path, chromium: Browser, scheme: str, name: str) -> None:
    page = chromium.new_page(color_scheme=scheme, reduced_motion="reduce")
    page.goto(f"{site.as_uri()}/{name}.html")
    violations = Axe().run(page).response["violations"]
    assert [one["id"] for one in violations if one["impact"] in {"serious", "critical"}] == []
    page.close()


def background(page: Page) -> str:
    color: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return color


def test_the_theme_is_that_of_the_system_until_one_is_chosen(site: Path, chromium: Browser) -> None:
    page = chromium.new_page(color_scheme="dark", reduced_motion="reduce")
    page.goto(f"{site.as_uri()}/index.html")
    dark = background(page)
    page.emulate_media(color_scheme="light")
    page.wait_for_function(
        "before => getComputedStyle(document.body).backgroundColor != before", arg=dark
    )
    light = background(page)
    assert light == "rgb(255, 255, 255)"
    page.get_by_title("Use the light theme").click()
    page.get_by_title("Use the dark theme").click()
    assert background(page) == dark
    page.reload()
    assert background(page) == dark
    page.close()


def test_a_picture_is_that_of_the_theme(site: Path, chromium: Browser) -> None:
    for scheme, seen in (("light", "debugger-events.png"), ("dark", "debugger-events-dark.png")):
        page = chromium.new_page(color_scheme=scheme)
        page.goto(f"{site.as_uri()}/debugger.html")
        pictures = page.locator("article img[src*=debugger-events]")
        visible = [one.get_attribute("src") for one in pictures.all() if one.is_visible()]
        assert [str(source).partition("#")[0].rpartition("/")[2] for source in visible] == [seen]
        page.close()


def test_a_name_of_the_api_leads_to_its_lines(site: Path, page: Page) -> None:
    page.goto(f"{site.as_uri()}/api/index.html#segment_librato.track")
    expect(page.locator("[id='segment_librato.track']")).to_be_in_viewport()
    link = page.locator(".source-link a").first.get_attribute("href")
    path, _, lines = str(link).partition("/blob/main/")[2].partition("#L")
    first = int(lines.partition("-")[0])
    assert "def track(" in (ROOT / path).read_text(encoding="utf-8").splitlines()[first - 1]
