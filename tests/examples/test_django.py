"""Django's own server, and gunicorn, which is stopped while events wait."""

from __future__ import annotations

import http.cookiejar
import re
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING

import pytest
from support.examples import EXAMPLES, by_event, check_messages, command, run, serving, stop

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

SETTINGS = {"DJANGO_SECRET_KEY": "test-secret"}


class Browser:
    """Keeps cookies, follows redirects, and fills in forms."""

    def __init__(self, port: int) -> None:
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(cookies)
        self._opener.addheaders = [("User-Agent", "Mozilla/5.0"), ("Accept-Language", "de-AT,de")]
        self._home = f"http://127.0.0.1:{port}/"

    def open(self) -> str:
        with self._opener.open(self._home, timeout=30) as response:
            return str(response.read().decode())

    def submit(self, path: str, **fields: str) -> str:
        """Send a form of the page, and return the page that comes after it."""
        (token,) = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', self.open())
        data = urllib.parse.urlencode({"csrfmiddlewaretoken": token, **fields}).encode()
        request = urllib.request.Request(  # noqa: S310  our own server
            self._home + path, data, {"Referer": self._home}
        )
        with self._opener.open(request, timeout=30) as response:
            return str(response.read().decode())


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Make the database."""
    made = {**SETTINGS, "DATABASE": str(tmp_path / "db.sqlite3")}
    migrate = command("django", "python manage.py migrate")
    run("http://127.0.0.1:9", EXAMPLES / "django", *migrate, variables=made)
    return made


def sign_up_and_order(port: int) -> None:
    browser = Browser(port)
    page = browser.submit("signup/", name="ada", email="ada@example.com")
    assert "Welcome, ada." in page
    browser.submit("orders/", revenue="42.50")


def check(server: LocalSegment, port: int) -> None:
    identified, signed_up, ordered = by_event(server, "identify", "Signed Up", "Order Completed")
    assert identified["traits"] == {"username": "ada", "email": "ada@example.com"}
    assert signed_up["properties"] == {"username": "ada", "email": "ada@example.com"}
    assert ordered["properties"]["revenue"] == 42.5
    for message, path in [(identified, "signup/"), (signed_up, "signup/"), (ordered, "orders/")]:
        assert message["userId"] == "1"
        context = message["context"]
        assert context["userAgent"] == "Mozilla/5.0"
        assert context["locale"] == "de-AT"
        assert context["page"]["path"] == f"/{path}"
        assert context["page"]["url"] == f"http://127.0.0.1:{port}/{path}"
        assert context["page"]["referrer"] == f"http://127.0.0.1:{port}/"
    check_messages(server)


def test_events_of_djangos_own_server_have_the_user_and_the_page(
    server: LocalSegment, port: int, settings: dict[str, str]
) -> None:
    with serving(server, "django", "python manage.py runserver", port, **settings):
        sign_up_and_order(port)
        assert server.wait_for(3)
    check(server, port)


def test_a_stop_of_gunicorn_loses_nothing(
    server: LocalSegment, port: int, settings: dict[str, str]
) -> None:
    with server.hold(), serving(server, "django", "gunicorn", port, **settings) as process:
        sign_up_and_order(port)
        stop(process, server)
    check(server, port)
