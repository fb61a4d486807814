"""Requests, the trouble that a person makes, and how a client copes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from segment_librato import Client
from segment_librato.devserver.watching import watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from segment_librato.devserver.page.debugger import Debugger

    Visit = Callable[..., Page]


def test_a_request_is_shown_with_its_numbers(visit: Visit, debugger: Debugger) -> None:
    with Client("any-key", host=debugger.host, gzip=True) as client:
        for _ in range(20):
            client.track("ada", "Signed Up", {"plan": "pro"})
        client.flush()
    page = visit("requests")
    row = page.locator('.request[data-index="0"]')
    expect(row).to_contain_text("POST /v1/batch")
    expect(row.locator(".status")).to_have_text("200")
    expect(row.locator(".request-bytes")).to_contain_text("gzip of")
    expect(row.locator(".request-duration")).to_contain_text("ms")
    expect(page.locator(".request .request-content").first).to_contain_text("message")


def test_a_client_meets_trouble_and_gets_through(
    visit: Visit, client: Client, debugger: Debugger
) -> None:
    page = visit("requests")
    page.get_by_label("Next requests").fill("2")
    page.get_by_label("Retry-After").fill("0")
    page.locator("[data-kind='429']").click()
    expect(page.locator(".trouble-current")).to_contain_text("429 for 2 more requests")
    client.track("ada", "Signed Up")
    expect(page.locator(".request .status")).to_have_text(["200", "429", "429"])
    expect(page.locator('.request[data-index="0"] .request-retry')).to_have_text("retry 2")
    expect(page.locator(".trouble-current")).to_contain_text("No trouble ahead")
    assert debugger.server.messages[0]["event"] == "Signed Up"


@pytest.mark.parametrize("kind, status", [("500", "500"), ("reset", "cut off")])
def test_each_kind_of_trouble_is_met(visit: Visit, client: Client, kind: str, status: str) -> None:
    page = visit("requests")
    page.get_by_label("Next requests").fill("1")
    page.locator(f"[data-kind='{kind}']").click()
    expect(page.locator(".trouble-current")).to_contain_text("for 1 more request")
    client.track("ada", "Signed Up")
    expect(page.locator(".request .status")).to_have_text(["200", status])


def test_a_slow_response_is_shown_once_it_was_sent(visit: Visit, client: Client) -> None:
    page = visit("requests")
    page.get_by_label("Next requests").fill("1")
    page.get_by_label("Retry-After").fill("1")
    page.locator("[data-kind='slow']").click()
    client.track("ada", "Signed Up")
    duration = page.locator('.request[data-index="0"] .request-duration')
    expect(duration).to_have_text("waiting")
    expect(duration).to_contain_text("1.0")


def test_what_hangs_goes_on_when_the_trouble_ends(visit: Visit, client: Client) -> None:
    page = visit("requests")
    page.get_by_label("Next requests").fill("1")
    page.locator("[data-kind='hang']").click()
    client.track("ada", "Signed Up")
    expect(page.locator(".trouble-current")).to_contain_text("Hanging")
    page.get_by_role("button", name="End all trouble").click()
    expect(page.locator(".trouble-current")).to_contain_text("No trouble ahead")
    expect(page.locator(".request .status").first).to_have_text("200")


def test_the_counters_of_a_client_add_up(visit: Visit, client: Client, debugger: Debugger) -> None:
    page = visit("requests")
    expect(page.get_by_text("No client reports its counters")).to_be_visible()
    with watch(client, debugger.host, "checkout"), debugger.server.hold():
        client.track("ada", "Signed Up")
        terms = page.locator(".client .term b")
        expect(terms).to_have_text(["1", "0", "0", "1"])
        debugger.server.release()
        expect(terms).to_have_text(["1", "1", "0", "0"])
    expect(page.locator(".client h3")).to_have_text("checkout")
    expect(page.locator(".equation.is-wrong")).to_have_count(0)


def test_the_messages_that_a_hook_has_dropped_stand_apart(visit: Visit, debugger: Debugger) -> None:
    page = visit("requests")
    counters = page.locator(".client .muted")
    with (
        Client("any-key", host=debugger.host, sample_rate={"Rare": 0}) as client,
        watch(client, debugger.host, "checkout"),
    ):
        client.track("ada", "Signed Up")
        expect(counters).to_have_text("Messages: 0 rejected, 0 retries, 1 requests")
        client.track("ada", "Rare")
        expect(counters).to_have_text("Messages: 0 rejected, 0 retries, 1 requests, 1 dropped")
    expect(page.locator(".equation.is-wrong")).to_have_count(0)


def test_an_event_leads_to_its_request(visit: Visit, client: Client) -> None:
    for number in range(3):
        client.track("ada", f"Event {number}")
        client.flush()
    page = visit()
    page.locator(".event", has_text="Event 0").click()
    page.get_by_role("link", name="POST /v1/batch").click()
    expect(page.locator('.request[aria-selected="true"]')).to_have_attribute("data-index", "2")
