"""What axe finds in each state of the page, in both themes and in three widths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from support.debugger import ask
from support.local_server import batch, post, track

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import BrowserContext, Page, ViewportSize

    from segment_librato import Client
    from segment_librato.devserver.page.debugger import Debugger

    Visit = Callable[..., Page]

WIDE: ViewportSize = {"width": 1600, "height": 960}
SERIOUS = {"serious", "critical"}
WIDTHS = (1600, 900, 400)
# Only colors depend on the theme.
RULES: dict[Literal["dark", "light"], dict[str, object]] = {
    "light": {"resultTypes": ["violations"]},
    "dark": {"resultTypes": ["violations"], "runOnly": ["color-contrast"]},
}


# The controls that a person cannot reach with the mouse.
OUTSIDE = """() =>
    [...document.querySelectorAll("button, a, input, select, summary, textarea, #connection")]
        .filter((one) => one.checkVisibility({ visibilityProperty: true }))
        .filter((one) => !one.matches(".skip, .visually-hidden"))
        .filter((one) => {
            const { left, right } = one.getBoundingClientRect();
            return left < 0 || right > innerWidth;
        })
        .map((one) => one.outerHTML)"""


# The texts of rows that go on over what stands beside them.
OVERLAPPING = """() =>
    [...document.querySelectorAll(".event > *, .event-outcome > *")]
        .filter((one) => one.scrollWidth > one.clientWidth)
        .filter((one) => getComputedStyle(one).overflowX === "visible")
        .map((one) => one.textContent)"""


def open_detail(page: Page, tab: str = "Payload") -> None:
    page.locator('.event[data-index="0"]:not(.is-loading)').click()
    page.get_by_role("tab", name=tab).click()
    page.locator("#tab-content").wait_for()


def ask_to_clear(page: Page) -> None:
    page.get_by_role("button", name="Clear all events").click()


def make_trouble(page: Page) -> None:
    page.locator("[data-kind='429']").click()
    expect(page.locator(".trouble-current")).to_contain_text("more request")


def wait_for_charts(page: Page) -> None:
    page.locator(".plot[data-lines]").first.wait_for()
    page.locator(".values summary").first.click()


def make_mistake(page: Page) -> None:
    page.set_viewport_size({"width": 1600, "height": 600})
    open_detail(page, "Edit")
    page.get_by_label("The message as JSON").fill("{")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#editor-problem")).to_be_in_viewport()


def open_filters(page: Page) -> None:
    page.set_viewport_size({"width": 900, "height": 900})
    page.locator("#filters-toggle").click()
    expect(page.locator("#filters")).to_be_visible()


STATES: dict[str, tuple[str, Callable[[Page], object]]] = {
    "events": ("events", lambda _: None),
    "filters": ("events?verdict=rejected&text=e", open_filters),
    "no match": ("events?text=nowhere", lambda _: None),
    "paused": ("events", lambda page: page.keyboard.press("p")),
    "payload": ("events", open_detail),
    "changes": ("events", lambda page: open_detail(page, "Changes")),
    "editor": ("events", lambda page: open_detail(page, "Edit")),
    "mistake": ("events", make_mistake),
    "help": ("events", lambda page: page.keyboard.press("?")),
    "question": ("events", ask_to_clear),
    "gauges": ("gauges", wait_for_charts),
    "requests": ("requests", lambda _: None),
    "trouble": ("requests", make_trouble),
}


def check(page: Page) -> None:
    """Expect nothing serious in either theme and at any width."""
    page.evaluate(Axe().axe_script)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for theme, rules in RULES.items():
            page.emulate_media(color_scheme=theme)
            expect(page.locator("html")).to_have_attribute("data-theme", theme)
            found = page.evaluate("rules => axe.run(rules)", rules)["violations"]
            problems = [
                (width, theme, rule["id"], node["target"], node["failureSummary"])
                for rule in found
                if rule["impact"] in SERIOUS
                for node in rule["nodes"]
            ]
            assert problems == []


@pytest.fixture
def events(client: Client, debugger: Debugger) -> None:
    """Events of every kind and verdict, and a client."""
    for value in (1, 2):
        client.track("ada", "Order Completed", {"value": value}, {"Librato": {"source": "web-1"}})
        client.track("ada", "Order Completed", {"value": value}, {"Librato": {"source": "web-2"}})
    client.identify("ada", {"plan": "pro"})
    client.page("ada", "Docs", "Quickstart")
    client.screen("ada", None, "Settings")
    client.group("ada", "acme")
    client.alias("anonymous", "ada")
    client.flush()
    for message in (
        track("1"),
        track("1"),
        track(userId=None),
        track(x="x" * 40_000),
        track(properties={"a": [None, True, 1.5, {"b": "text"}]}),
    ):
        post(debugger.server, batch(message))
    stats = {"accepted": 9, "delivered": 7, "failed": 1, "pending": 1, "rejected": 0}
    ask(debugger, "/clients", {"name": "checkout", "stats": stats})


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_serious(visit: Visit, page: Page, state: str) -> None:
    view, arrange = STATES[state]
    visit(view)
    arrange(page)
    check(page)


@pytest.mark.parametrize("view", ["events", "gauges", "requests"])
def test_axe_finds_nothing_serious_where_nothing_has_come_yet(
    visit: Visit, page: Page, view: str
) -> None:
    visit(view)
    check(page)


def test_axe_finds_nothing_serious_where_something_is_wrong(
    context: BrowserContext, debugger: Debugger, client: Client
) -> None:
    client.track("ada", "Signed Up")
    client.flush()
    page = context.new_page()  # whose console says what is wrong
    page.goto(f"{debugger.host}/#events?open=99")
    expect(page.locator("#detail h2")).to_have_text("Event 99 cannot be shown")
    expect(page.locator("#detail")).to_contain_text("no event has this id")
    check(page)
    page.set_viewport_size(WIDE)
    open_detail(page)
    debugger.close()
    expect(page.locator("#lost")).to_be_visible()
    page.get_by_role("button", name="Send again").click()
    expect(page.locator(".toast")).to_have_text(
        "The debugger does not answer. Is it still running?"
    )
    check(page)
    assert page.evaluate(OUTSIDE) == []


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize("view", ["events", "gauges", "requests"])
def test_nothing_is_outside_of_the_screen(visit: Visit, client: Client, view: str) -> None:
    client.track("ada", "Order " * 40, {"long": "x" * 5000, "value": 0.1 + 0.2})
    client.flush()
    page = visit(view)
    if view == "events":
        open_detail(page)
        expect(page.locator("#detail .payload")).to_be_visible()
    for width in (400, 480, 640, 721, 768, 821, 900, 961, 1024, 1181, 1600):
        page.set_viewport_size({"width": width, "height": 800})
        assert (width, page.evaluate(OUTSIDE)) == (width, [])
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_no_text_of_a_row_lies_over_another(visit: Visit, client: Client) -> None:
    value = 123_456_789_012_345.678
    client.track("ada", "Load", {"value": value}, {"Librato": {"source": "web-server-1"}})
    client.flush()
    page = visit()
    open_detail(page)
    for width in (400, 768, 1600):
        page.set_viewport_size({"width": width, "height": 800})
        assert (width, page.evaluate(OVERLAPPING)) == (width, [])


def test_the_theme_can_be_chosen_and_is_kept(visit: Visit, page: Page) -> None:
    page.emulate_media(color_scheme="light")
    visit()
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "light")
    page.emulate_media(color_scheme="dark")
    expect(root).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Theme: system").click()
    expect(root).to_have_attribute("data-theme", "light")
    page.reload()
    expect(root).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name="Theme: light").click()
    expect(root).to_have_attribute("data-theme", "dark")
