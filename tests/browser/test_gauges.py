"""Charts, their options and their legend."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from segment_librato import Client, LibratoConfig
from segment_librato.devserver.demo.plan import EVENT, WEB_SERVERS
from segment_librato.devserver.page import assets

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import BrowserContext, Page

    from segment_librato.devserver.page.debugger import Debugger

    Visit = Callable[..., Page]

LINES = ".gauge .scatterlayer .trace"
SECONDS = 20

# Ten charts, each of which goes when it has been drawn for another number of frames.
DRAW_AND_REMOVE = """
    async () => {
        const { drawChart, removeChart } = await import("/static/plot.js");
        const now = Date.now() / 1000;
        const points = (n) => [[now - 60, 10 ** n], [now, 1]];
        const lines = [0, 1, 2, 3].map((n) => ({ source: `web-${n}`, points: points(n) }));
        const options = { hidden: new Set(), seconds: 300, colors: new Map() };
        const draw = async (_, frames) => {
            const element = document.createElement("div");
            document.querySelector(".gauge-grid").append(element);
            const drawn = drawChart(element, { lines }, options);
            for (let n = 0; n < frames; n++) await new Promise(requestAnimationFrame);
            await Promise.all([drawn, removeChart(element)]);
            return element.childElementCount;
        };
        return Promise.all(Array.from({ length: 10 }, draw));
    }
"""


@pytest.fixture
def web_servers(client: Client) -> None:
    """Track the first of what the demo tracks: four sources."""
    began = int(time.time()) - SECONDS
    for second in range(SECONDS):
        for web_server in WEB_SERVERS:
            client.track(
                web_server.user_id,
                EVENT,
                {"value": web_server.values[second]},
                {"Librato": {"source": web_server.source}},
                began + second,
            )
    client.flush()


@pytest.mark.usefixtures("web_servers")
def test_a_chart_has_a_line_for_each_source(visit: Visit) -> None:
    page = visit("gauges")
    expect(page.locator(".gauge")).to_have_count(1)
    expect(page.locator(".gauge h2")).to_have_text(EVENT)
    expect(page.locator(LINES)).to_have_count(4)
    expect(page.locator(".legend-line")).to_have_text([one.source for one in WEB_SERVERS])
    colors = {
        line.evaluate("line => getComputedStyle(line).stroke")
        for line in page.locator(f"{LINES} path.js-line").all()
    }
    assert len(colors) == 4


@pytest.mark.usefixtures("web_servers")
def test_the_legend_switches_lines(visit: Visit) -> None:
    page = visit("gauges")
    expect(page.locator(LINES)).to_have_count(4)
    button = page.get_by_role("button", name="web-server-11")
    button.click()
    expect(page.locator(LINES)).to_have_count(3)
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    expect(page.locator(LINES)).to_have_count(4)


@pytest.mark.usefixtures("web_servers")
def test_values_are_shown_where_the_mouse_is(visit: Visit) -> None:
    page = visit("gauges?seconds=300")
    expect(page.locator(LINES)).to_have_count(4)
    point = page.locator(f"{LINES} path.point").nth(5).bounding_box()
    assert point is not None
    page.mouse.move(point["x"] + 2, point["y"] + 2)
    expect(page.locator(".hoverlayer")).to_contain_text("web-server-10 : ")


@pytest.mark.usefixtures("web_servers")
def test_the_options_say_how_points_are_made(visit: Visit) -> None:
    page = visit("gauges")
    expect(page.locator(LINES)).to_have_count(4)
    page.locator(".values summary").click()
    page.get_by_role("combobox", name="Period").select_option("1 h")
    page.get_by_role("button", name="Sum", exact=True).click()
    page.get_by_role("group", name="Source aggregation").get_by_role("button", name="On").click()
    page.get_by_role("button", name="24 h").click()
    assert page.url.endswith("#gauges?period=3600&summarize=sum&aggregate=1&seconds=86400")
    expect(page.locator(".gauge-about")).to_contain_text("1 h, sum, sources aggregated")

    def total() -> int:
        cells = page.locator(".values tbody td:nth-child(2)").all_inner_texts()
        return sum(int(cell) for cell in cells if cell)

    # One row, or two if the hour has just changed.
    expect(page.locator(".values tbody tr").nth(2)).to_have_count(0)
    assert total() == sum(WEB_SERVERS[0].values[:SECONDS])


@pytest.mark.usefixtures("web_servers")
def test_what_was_chosen_can_be_taken_back(visit: Visit) -> None:
    page = visit("gauges")
    reset = page.get_by_role("button", name="Reset")
    expect(reset).to_be_hidden()
    page.get_by_role("button", name="Sum", exact=True).click()
    page.get_by_role("button", name="1 h", exact=True).click()
    expect(page.locator(".gauge-about")).to_contain_text("10 s, sum")
    page.go_back()
    expect(page.locator(".gauge-about")).to_contain_text("5 s, sum")
    reset.click()
    expect(page.locator(".gauge-about")).to_contain_text("5 s, average")
    assert page.url.endswith("#gauges")


@pytest.mark.parametrize(
    "value, ticks, shown",
    [
        (0.5, ["0", "0.2", "0.4"], "0.5"),
        (90_123.5, ["0", "20,000", "40,000", "60,000", "80,000"], "90,123.5"),
        (9_123_456_789, ["0", "2B", "4B", "6B", "8B"], "9,123,456,789"),
        (-0.0001234, ["\u22120.0001", "\u22120.00005", "0"], "-0.0001234"),
    ],
)
def test_numbers_are_written_as_people_write_them(
    visit: Visit, client: Client, value: float, ticks: list[str], shown: str
) -> None:
    client.gauge("queue.depth", value, source="web-1")
    client.flush()
    page = visit("gauges")
    expect(page.locator(".gauge-value")).to_have_text(f"last{shown}")
    expect(page.locator(".ytick text")).to_have_text(ticks)
    point = page.locator(f"{LINES} path.point").bounding_box()
    assert point is not None
    page.mouse.move(point["x"] + 2, point["y"] + 2)
    expect(page.locator(".hoverlayer")).to_contain_text(f"web-1 : {shown}")


def test_measurements_delivered_directly_are_beside_those_of_events(
    visit: Visit, client: Client, debugger: Debugger
) -> None:
    account = LibratoConfig("ada@example.com", "token", debugger.host, attributes={})
    with Client(None, gauges=account) as direct:
        for value in (1, 2):
            direct.gauge("queue.depth", value, source="direct-1")
            client.gauge("queue.depth", value, source="web-1")
        direct.flush()
        client.flush()
    page = visit("gauges")
    expect(page.locator(".gauge-about")).to_contain_text("from events and direct")
    expect(page.locator(".legend-line")).to_have_text(["direct-1", "web-1"])
    expect(page.locator(LINES)).to_have_count(2)


@pytest.mark.usefixtures("web_servers")
def test_a_new_value_and_a_new_gauge_appear(visit: Visit, client: Client) -> None:
    page = visit("gauges")
    expect(page.locator(LINES)).to_have_count(4)
    client.gauge(EVENT, 5, source="web-server-14")
    client.gauge("queue.depth", 3, source="web-1")
    client.flush()
    expect(page.locator(LINES)).to_have_count(6)
    expect(page.locator(".gauge h2")).to_have_text([EVENT, "queue.depth"])
    page.locator("#gauge-search").fill("queue")
    expect(page.locator(".gauge h2")).to_have_text(["queue.depth"])


def test_a_chart_may_go_while_it_is_drawn(visit: Visit, client: Client) -> None:
    client.gauge("queue.depth", 3)
    client.flush()
    page = visit("gauges")
    expect(page.locator(LINES)).to_have_count(1)
    assert page.evaluate(DRAW_AND_REMOVE) == [0] * 10


@pytest.mark.usefixtures("web_servers")
def test_without_the_chart_library_there_are_tables(
    context: BrowserContext, debugger: Debugger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "LIBRARY", ("no_such_package", "plotly.min.js"))
    page = context.new_page()  # whose console says that a file is missing
    page.goto(f"{debugger.host}/#gauges")
    expect(page.get_by_text('pip install "segment-librato[debugger]"')).to_be_visible()
    expect(page.locator(".values tbody tr").first).to_be_visible()


def test_the_chart_library_is_loaded_for_charts_only(visit: Visit, page: Page) -> None:
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    visit()
    page.get_by_role("link", name="Requests").click()
    assert not any(url.endswith("chart.js") for url in loaded)
    with page.expect_response("**/static/chart.js") as response:
        page.get_by_role("link", name="Gauges").click()
    assert response.value.ok
    expect(page.get_by_text("No gauges yet")).to_be_visible()
