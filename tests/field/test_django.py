"""Scopes with Django: the user of the session, for both kinds of views, and streams."""

from __future__ import annotations

import asyncio
import sys
from contextlib import closing
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import sync_to_async
from django.core.management import call_command
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.urls import path
from support import django_project

import segment_librato as analytics
from segment_librato import ConfigError, ValidationError
from segment_librato.message.scope import current_scope
from segment_librato.testing import Capture, capture

django_project.configure()

from django.contrib.auth import alogin, get_user_model, login, logout  # noqa: E402  needs it

from segment_librato.integrations.django import SegmentMiddleware  # noqa: E402  the same

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

NAME = "segment_librato_scopes"  # of the module with the routes
AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"
OURS = "segment_librato.integrations.django.SegmentMiddleware"
OPTIONS = {
    "ROOT_URLCONF": NAME,
    "MIDDLEWARE": ["django.contrib.sessions.middleware.SessionMiddleware", AUTH, OURS],
    "SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies",
    "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
    "ALLOWED_HOSTS": ["testserver"],
}


def track(event: str = "Seen") -> None:
    analytics.track(event=event)


async def async_no_user_needed(request: Any) -> HttpResponse:
    return no_user_needed(request)


def no_user_needed(request: Any) -> HttpResponse:
    analytics.track("user-9", "Seen")
    analytics.gauge("queue.depth", 1)
    return HttpResponse("")


def view(request: Any) -> HttpResponse:
    track()
    return HttpResponse("")


async def async_view(request: Any) -> HttpResponse:
    await request.auser()
    track()
    await sync_to_async(track)()
    return HttpResponse("")


async def async_view_without_user(request: Any) -> HttpResponse:
    track()
    return HttpResponse("")


def log_in_and_out(request: Any) -> HttpResponse:
    track("Form Sent")
    login(request, get_user_model().objects.get())
    track("Signed In")
    logout(request)
    track("Signed Out")
    return HttpResponse("")


async def async_log_in(request: Any) -> HttpResponse:
    await request.auser()
    track("Form Sent")
    await alogin(request, await get_user_model().objects.aget())
    track("Signed In")
    return HttpResponse("")


def stream(request: Any) -> StreamingHttpResponse:
    def parts() -> Iterator[str]:
        for _ in range(3):
            track("Part Sent")
            yield "x"

    return StreamingHttpResponse(parts())


async def async_stream(request: Any) -> StreamingHttpResponse:
    await request.auser()

    async def parts() -> AsyncIterator[str]:
        for _ in range(3):
            await asyncio.sleep(0)
            track("Part Sent")
            yield "x"

    return StreamingHttpResponse(parts())


def file(request: Any) -> FileResponse:
    return FileResponse(open(__file__, "rb"))  # noqa: PTH123  Django closes it


async def numbered(request: Any, number: int) -> HttpResponse:
    for _ in range(3):
        await asyncio.sleep(0)
        analytics.track(event="Seen", properties={"number": number})
    return HttpResponse("")


def fail(request: Any) -> HttpResponse:
    raise LookupError("no such page")


VIEWS = (
    *(
        no_user_needed,
        async_no_user_needed,
        view,
        async_view,
        async_view_without_user,
        log_in_and_out,
        async_log_in,
    ),
    *(stream, async_stream, fail),
)


class ByName(SegmentMiddleware):
    """Knows users by their names."""

    def get_user_id(self, user: Any) -> str:
        return user.get_username()  # type: ignore[no-any-return]


@pytest.fixture(scope="module", autouse=True)
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have a project with a user, in a process that may have another one."""
    routes = ModuleType(NAME)
    routes.urlpatterns = [  # type: ignore[attr-defined]
        *(path(one.__name__, one) for one in VIEWS),
        path("numbered/<int:number>", numbered),
    ]
    sys.modules[NAME] = routes
    with override_settings(**OPTIONS):
        call_command("migrate", verbosity=0)
        get_user_model().objects.create_user("ada", password="secret")  # noqa: S106  of a test
        yield
    del sys.modules[NAME]


@pytest.fixture
def segment() -> Iterator[Capture]:
    with capture() as recorded:
        yield recorded


@pytest.fixture
def browser() -> Client:
    """Return a browser in which the user has signed in."""
    client = Client(headers={"user-agent": "Lynx"})
    client.force_login(get_user_model().objects.get())
    return client


@pytest.fixture
def async_browser(browser: Client) -> AsyncClient:
    client = AsyncClient()
    client.cookies = browser.cookies
    return client


def users(segment: Capture) -> list[str | None]:
    assert {message["context"]["userAgent"] for message in segment.messages} <= {"Lynx"}
    return [message["userId"] for message in segment.messages]


def get_async(browser: AsyncClient, url: str) -> Any:
    async def get() -> Any:
        response = await browser.get(url, headers={"user-agent": "Lynx"})
        if response.streaming:
            return b"".join([part async for part in response])
        return response

    return asyncio.run(get())


def test_a_view_is_in_a_scope_with_the_user_of_the_session(
    segment: Capture, browser: Client
) -> None:
    assert browser.get("/view?coupon=TEA", REMOTE_ADDR="192.0.2.1").status_code == 200
    assert users(segment) == ["1"]
    context = segment.messages[0]["context"]
    assert context["page"] == {"path": "/view", "url": "http://testserver/view"}
    assert "ip" not in context
    assert current_scope.get() is None


def test_the_rest_is_there_if_it_is_asked_for(segment: Capture) -> None:
    with override_settings(SEGMENT_MIDDLEWARE={"ip": True, "query": True, "ajs_cookie": True}):
        client = Client(headers={"referer": "https://search.example/?q=tea"})
        client.cookies["ajs_anonymous_id"] = "visitor-1"
        client.get("/view?coupon=TEA")
    (message,) = segment.messages
    assert (message["userId"], message["anonymousId"]) == (None, "visitor-1")
    assert message["context"]["ip"] == "127.0.0.1"
    assert message["context"]["page"] == {
        "path": "/view",
        "url": "http://testserver/view?coupon=TEA",
        "search": "?coupon=TEA",
        "referrer": "https://search.example/?q=tea",
    }


@pytest.mark.parametrize("problem", [{"ip": 1}, {"ipp": True}])
def test_an_option_that_is_wrong_is_named(problem: dict[str, Any]) -> None:
    (name,) = problem
    with (
        override_settings(SEGMENT_MIDDLEWARE=problem),
        pytest.raises(ConfigError, match=f"^{name}: "),
    ):
        Client().get("/view")


def test_a_view_that_needs_no_user_asks_for_none(
    segment: Capture, browser: Client, async_browser: AsyncClient
) -> None:
    """To ask reads the session, and has Django send `Vary: Cookie`, which ends most caching."""
    browser.cookies["ajs_anonymous_id"] = "visitor-1"
    async_browser.cookies = browser.cookies
    with override_settings(SEGMENT_MIDDLEWARE={"ajs_cookie": True}):
        responses = (
            browser.get("/no_user_needed"),
            get_async(async_browser, "/async_no_user_needed"),
        )
    assert not any("Vary" in response.headers for response in responses)
    assert users(segment) == ["user-9", None] * 2
    assert "Cookie" in browser.get("/view").headers["Vary"]


def test_a_visitor_is_no_user(segment: Capture) -> None:
    with pytest.raises(ValidationError, match="neither the call nor its scope has one"):
        Client().get("/view")


@pytest.mark.parametrize("middleware", [[OURS], [OURS, *OPTIONS["MIDDLEWARE"][:2]]])
def test_the_other_middleware_may_be_inside_or_missing(
    segment: Capture, browser: Client, middleware: list[str]
) -> None:
    with override_settings(MIDDLEWARE=middleware):
        if len(middleware) > 1:
            browser.get("/view")
            assert users(segment) == ["1"]
        else:
            with pytest.raises(ValidationError, match="neither the call nor its scope has one"):
                browser.get("/view")


def test_the_user_is_whoever_it_is_at_the_call(segment: Capture, browser: Client) -> None:
    with override_settings(SEGMENT_MIDDLEWARE={"ajs_cookie": True}):
        client = Client(headers={"user-agent": "Lynx"})
        client.cookies["ajs_anonymous_id"] = "visitor-1"
        client.get("/log_in_and_out")
        asynchronous = AsyncClient()
        asynchronous.cookies["ajs_anonymous_id"] = "visitor-1"
        get_async(asynchronous, "/async_log_in")
    assert users(segment) == [None, "1", None, None, "1"]
    assert {message["anonymousId"] for message in segment.messages} == {"visitor-1"}


def test_a_subclass_knows_users_by_another_id(segment: Capture, browser: Client) -> None:
    sys.modules[NAME].ByName = ByName  # type: ignore[attr-defined]
    with override_settings(MIDDLEWARE=[*OPTIONS["MIDDLEWARE"][:2], f"{NAME}.ByName"]):
        browser.get("/view")
    assert users(segment) == ["ada"]


def test_an_async_view_is_in_a_scope_once_the_user_is_loaded(
    segment: Capture, async_browser: AsyncClient
) -> None:
    assert get_async(async_browser, "/async_view").status_code == 200
    assert users(segment) == ["1", "1"]
    with pytest.raises(ValidationError, match="raised SynchronousOnlyOperation"):
        get_async(async_browser, "/async_view_without_user")


def test_a_view_is_in_a_scope_also_where_all_else_is_async(
    segment: Capture, async_browser: AsyncClient
) -> None:
    assert get_async(async_browser, "/view").status_code == 200
    assert users(segment) == ["1"]


def test_an_async_view_is_in_a_scope_also_where_all_else_is_not(
    segment: Capture, browser: Client
) -> None:
    assert browser.get("/async_view").status_code == 200
    assert users(segment) == ["1", "1"]


def test_a_stream_is_in_the_scope_of_its_request(
    segment: Capture, browser: Client, async_browser: AsyncClient
) -> None:
    assert browser.get("/stream").getvalue() == b"xxx"
    assert get_async(async_browser, "/async_stream") == b"xxx"
    assert users(segment) == ["1"] * 6
    assert current_scope.get() is None


def test_a_file_stays_one_that_the_server_can_send() -> None:
    with closing(SegmentMiddleware(file)(RequestFactory().get("/file"))) as response:
        assert response.file_to_stream
        assert response.getvalue().startswith(b'"""Scopes with Django')


def test_a_host_that_is_not_allowed_makes_no_url(segment: Capture) -> None:
    with override_settings(SEGMENT_MIDDLEWARE={"ajs_cookie": True}):
        client = Client()
        client.cookies["ajs_anonymous_id"] = "visitor-1"
        assert client.get("/view", headers={"host": "evil.example"}).status_code == 200
    assert segment.messages[0]["context"]["page"] == {"path": "/view"}


def test_an_exception_passes(browser: Client, async_browser: AsyncClient) -> None:
    with pytest.raises(LookupError, match="no such page"):
        browser.get("/fail")
    with pytest.raises(LookupError, match="no such page"):
        get_async(async_browser, "/fail")
    assert current_scope.get() is None


def test_concurrent_requests_never_see_the_scope_of_another(segment: Capture) -> None:
    async def get(number: int) -> None:
        client = AsyncClient()
        client.cookies["ajs_anonymous_id"] = f"visitor-{number}"
        assert (await client.get(f"/numbered/{number}")).status_code == 200

    async def main() -> None:
        await asyncio.gather(*map(get, range(200)))

    with override_settings(SEGMENT_MIDDLEWARE={"ajs_cookie": True}):
        asyncio.run(main())
    assert len(segment.messages) == 600
    for message in segment.messages:
        number = message["properties"]["number"]
        assert message["anonymousId"] == f"visitor-{number}"
        assert message["context"]["page"]["path"] == f"/numbered/{number}"
