"""Proxies of Werkzeug (and so of Flask) and wrapt."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any
from uuid import UUID

import pytest
import wrapt
from support.stand_ins import expect_left_out
from werkzeug.local import LocalProxy

from segment_librato import Client, ValidationError

client = Client("test-key", send=False)


def local(value: object) -> Any:
    return LocalProxy(lambda: value)


PROXIES = pytest.mark.parametrize("proxy", [local, wrapt.ObjectProxy], ids=["werkzeug", "wrapt"])


@PROXIES
@pytest.mark.parametrize("value", ["text", 7, 1.5, True, None, [1, {"a": 2}], {"a": 1}])
def test_a_property_is_what_it_stands_for(proxy: Any, value: object) -> None:
    assert client.track("user", "event", {"value": proxy(value)})[1]["properties"] == {
        "value": value
    }


@PROXIES
@pytest.mark.parametrize(
    "value, text", [("user", "user"), (7, "7"), (UUID(int=7), str(UUID(int=7)))]
)
def test_an_id_is_its_text(proxy: Any, value: object, text: str) -> None:
    _, message = client.track(proxy(value), "event", message_id=proxy(value))
    assert (message["userId"], message["messageId"]) == (text, text)


@PROXIES
def test_so_are_names_and_the_write_key(proxy: Any) -> None:
    _, message = client.track("user", proxy("bought"), proxy({"a": 1}), proxy({"b": 2}))
    assert message["event"] == "bought"
    assert message["properties"] == {"a": 1}
    assert message["context"]["b"] == 2
    _, message = client.page("user", proxy("docs"), proxy("home"))
    assert (message["category"], message["name"]) == ("docs", "home")
    _, message = client.gauge(proxy("depth"), proxy(3), proxy("web-1"))
    assert message["properties"] == {"value": 3}
    other = Client(proxy("key"), send=False)
    assert type(other.write_key) is str
    assert other.write_key == "key"


@PROXIES
def test_so_is_a_timestamp(proxy: Any) -> None:
    moment = datetime(2026, 1, 2, tzinfo=timezone.utc)
    _, message = client.track("user", "event", timestamp=proxy(moment))
    assert message["timestamp"] == "2026-01-02T00:00:00.000+00:00"


@PROXIES
def test_none_is_none(proxy: Any) -> None:
    expect_left_out(proxy(None))


def test_a_proxy_of_the_request_outside_of_one_is_rejected_or_null() -> None:
    def current() -> str:
        raise RuntimeError("outside of a request")

    unbound: Any = LocalProxy(current)
    assert client.track("user", "event", {"value": unbound})[1]["properties"] == {"value": None}
    with pytest.raises(
        ValidationError, match="user_id: expected a str or a number, got LocalProxy"
    ):
        client.track(unbound, "event")
