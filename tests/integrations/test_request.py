"""What a scope takes from a request, and that nothing a browser sends makes a call fail."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment_librato import Client, ConfigError
from segment_librato.integrations.asgi import SegmentMiddleware as ASGIMiddleware
from segment_librato.integrations.request import Choices, Request, make_scope
from segment_librato.integrations.wsgi import SegmentMiddleware as WSGIMiddleware
from segment_librato.message.fields import LIBRARY

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"
REQUEST = Request(
    scheme="https",
    host="shop.example",
    path="/cart/tea & pot",
    query="coupon=TEA",
    ip="192.0.2.1",
    user_agent=CHROME,
    referrer="https://ada:secret@shop.example/search?q=tea#top",
    languages="de-DE,de;q=0.9,en;q=0.8",
    cookies="sessionid=secret; ajs_anonymous_id=visitor-1",
)
EMPTY = Request(*[""] * len(Request._fields))
NOTHING = Choices()
EVERYTHING = Choices(ip=True, query=True, ajs_cookie=True)

client = Client("test-key", send=False)


def message_of(request: Request, choices: Choices = NOTHING) -> dict[str, Any]:
    with make_scope(request, choices, lambda: "user-1"):
        accepted, message = client.track(event="event")
    assert accepted
    assert message["context"].pop("library") == LIBRARY
    return message


def context_of(request: Request, choices: Choices = NOTHING) -> dict[str, Any]:
    return message_of(request, choices)["context"]  # type: ignore[no-any-return]


def page_of(**fields: str) -> dict[str, Any]:
    return context_of(REQUEST._replace(**fields))["page"]  # type: ignore[no-any-return]


def test_what_may_be_a_secret_is_left_out() -> None:
    message = message_of(REQUEST)
    assert message["anonymousId"] is None
    assert message["context"] == {
        "userAgent": CHROME,
        "locale": "de-DE",
        "page": {
            "path": "/cart/tea%20&%20pot",
            "url": "https://shop.example/cart/tea%20&%20pot",
            "referrer": "https://shop.example/search",
        },
    }
    assert "secret" not in str(message)


def test_the_rest_is_there_if_it_is_asked_for() -> None:
    message = message_of(REQUEST, EVERYTHING)
    assert message["anonymousId"] == "visitor-1"
    assert message["context"]["ip"] == "192.0.2.1"
    assert message["context"]["page"] == {
        "path": "/cart/tea%20&%20pot",
        "url": "https://shop.example/cart/tea%20&%20pot?coupon=TEA",
        "search": "?coupon=TEA",
        "referrer": "https://shop.example/search?q=tea",
    }
    assert "secret" not in str(message)


@pytest.mark.parametrize("choices", [NOTHING, EVERYTHING])
def test_what_is_not_known_is_left_out(choices: Choices) -> None:
    assert message_of(EMPTY, choices)["context"] == {"page": {}}


@pytest.mark.parametrize(
    "languages, locale",
    [
        ("en", "en"),
        ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", "fr-CH"),
        ("en;q=0.5, pt-BR", "pt-BR"),
        ("en ; q = 0.5 , zh-Hant-TW ; q = 0.7", "zh-Hant-TW"),
        ("de;q=1., en;q=0", "de"),
        ("*, nonsense;x=1, <script>, it", "it"),
        ("*", None),
        ("de;q=0", None),
        ("a" * 2_000, None),
    ],
)
def test_the_locale_is_the_language_that_the_browser_likes_best(
    languages: str, locale: str | None
) -> None:
    assert context_of(REQUEST._replace(languages=languages)).get("locale") == locale


@pytest.mark.parametrize(
    "cookies, visitor",
    [
        ("ajs_anonymous_id=visitor-1", "visitor-1"),
        ("a=1;ajs_anonymous_id=visitor-1;b=2", "visitor-1"),
        ("ajs_anonymous_id=%22visitor-1%22", "visitor-1"),
        ('ajs_anonymous_id="visitor-1"', "visitor-1"),
        ("ajs_anonymous_id=", None),
        ("ajs_anonymous_id=%22%22", None),
        ("ajs_anonymous_id=a%00b", None),
        ("xajs_anonymous_id=visitor-1", None),
        ("ajs_anonymous_id=" + "x" * 101, None),
    ],
)
def test_the_anonymous_id_is_that_of_the_cookie(cookies: str, visitor: str | None) -> None:
    message = message_of(REQUEST._replace(cookies=cookies), EVERYTHING)
    assert message["anonymousId"] == visitor


@pytest.mark.parametrize("host", ["shop.example:8080", "127.0.0.1", "[::1]:80", "xn--tda.example"])
def test_the_url_has_the_host_of_the_request(host: str) -> None:
    assert page_of(host=host)["url"] == f"https://{host}/cart/tea%20&%20pot"


@pytest.mark.parametrize("host", ["", "a/b", "ada:secret@shop.example", "shop.example:x", "<a>"])
def test_a_host_that_is_none_makes_no_url(host: str) -> None:
    assert "url" not in page_of(host=host)


def test_the_path_of_no_page_makes_no_url() -> None:
    assert page_of(path="*") == {"path": "*", "referrer": "https://shop.example/search"}


@pytest.mark.parametrize(
    "referrer, expected",
    [("https://[x/", None), ("android-app://com.example", "android-app://com.example"), ("x", "x")],
)
def test_a_referrer_may_be_anything(referrer: str, expected: str | None) -> None:
    assert page_of(referrer=referrer).get("referrer") == expected


texts = st.text() | st.text().map(lambda text: text * 1_000)


@given(fields=st.tuples(*[texts] * len(Request._fields)))
def test_whatever_a_browser_sends_a_message_is_accepted_and_small(fields: tuple[str, ...]) -> None:
    context = context_of(Request(*fields), EVERYTHING)
    values = [*context.values(), *context["page"].values()]
    assert all(len(value) <= 1_024 for value in values if isinstance(value, str))


def test_the_longest_request_leaves_room_for_the_event() -> None:
    request = Request("https", "h" * 9_000, "/" + "\u20ac" * 9_000, *["\u00ff" * 9_000] * 6)
    with make_scope(request, EVERYTHING, lambda: "user-1"):
        accepted, message = client.track(event="event", properties={"text": "x" * 16_000})
    assert accepted
    assert len(str(message["context"]).encode()) < 16_000


def test_an_option_that_there_is_not_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^ipp: there are only the options ip, query, ajs_coo"):
        Choices.of({"query": True, "ipp": True})


@pytest.mark.parametrize("name", Choices._fields)
@pytest.mark.parametrize("middleware", [ASGIMiddleware, WSGIMiddleware])
def test_an_option_of_a_wrong_type_is_named(middleware: Any, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{name}: expected a bool, got int"):
        middleware(None, **{name: 1})
