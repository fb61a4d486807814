"""The middleware for ASGI: who is in a scope, and for how long."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

import segment_librato as analytics
from segment_librato.integrations.asgi import SegmentMiddleware
from segment_librato.message.scope import current_scope
from segment_librato.testing import Capture, capture

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Iterator

    App = Callable[[Any, Any, Any], Awaitable[None]]

HTTP = {
    "type": "http",
    "scheme": "https",
    "server": ("10.0.0.1", 8000),
    "client": ("192.0.2.1", 50000),
    "path": "/cart",
    "query_string": b"coupon=TEA",
    "headers": [(b"host", b"shop.example"), (b"user-agent", b"Lynx")],
}
ASKED_FOR: dict[str, Any] = {"ip": True, "query": True, "ajs_cookie": True}


@pytest.fixture
def segment() -> Iterator[Capture]:
    with capture() as recorded:
        yield recorded


async def run(app: App, **scope: Any) -> list[Any]:
    """Make a request; return what the application has sent."""
    sent: list[Any] = []

    async def send(event: Any) -> None:
        await asyncio.sleep(0)
        sent.append(event)

    async def receive() -> Any:
        return {"type": "http.request"}

    await app({**HTTP, **scope}, receive, send)
    return sent


async def track(scope: Any, receive: Any, send: Any) -> None:
    analytics.track(event="Seen")


def test_a_call_takes_what_the_request_says(segment: Capture) -> None:
    cookies = [(b"cookie", b"a=1"), (b"cookie", b"ajs_anonymous_id=visitor-1")]
    headers = [*HTTP["headers"], *cookies, (b"accept-language", b"de")]
    asyncio.run(run(SegmentMiddleware(track, **ASKED_FOR), headers=headers))
    (message,) = segment.messages
    del message["context"]["library"]
    assert (message["userId"], message["anonymousId"]) == (None, "visitor-1")
    assert message["context"] == {
        "ip": "192.0.2.1",
        "userAgent": "Lynx",
        "locale": "de",
        "page": {
            "path": "/cart",
            "url": "https://shop.example/cart?coupon=TEA",
            "search": "?coupon=TEA",
        },
    }


def test_a_server_may_know_little(segment: Capture) -> None:
    scope = {"type": "websocket", "path": "/", "headers": []}
    app = SegmentMiddleware(track, user_id=lambda _: "user-1", **ASKED_FOR)
    asyncio.run(app(scope, None, None))
    assert segment.messages[0]["context"]["page"] == {"path": "/"}
    more = {"client": None, "server": ("10.0.0.1", 8000)}
    asyncio.run(app({**scope, **more}, None, None))
    assert segment.messages[1]["context"]["page"]["url"] == "http://10.0.0.1:8000/"


def test_what_is_no_request_has_no_scope() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert current_scope.get() is None

    asyncio.run(run(SegmentMiddleware(app), type="lifespan"))


def test_the_user_is_asked_for_late_and_only_if_a_call_needs_one(segment: Capture) -> None:
    asked: list[str] = []

    def user_id(scope: Any) -> str:
        asked.append(scope["user"])
        return asked[-1]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["user"] = "user-1"  # as middleware inside does
        analytics.track("user-2", "Seen")
        analytics.gauge("queue.depth", 1)
        assert asked == []
        analytics.track(event="Seen")

    asyncio.run(run(SegmentMiddleware(app, user_id=user_id)))
    assert asked == ["user-1"]
    assert [message["userId"] for message in segment.tracked("Seen")] == ["user-2", "user-1"]


def test_an_exception_passes_and_ends_the_scope() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert current_scope.get()
        raise LookupError("no such page")

    async def main() -> None:
        with pytest.raises(LookupError, match="no such page"):
            await run(SegmentMiddleware(app))
        assert current_scope.get() is None

    asyncio.run(main())


async def stream(scope: Any, receive: Any, send: Any) -> None:
    """Track in each part, after it, and in a task that outlives the request."""
    number = int(scope["path"][1:])

    async def part(name: str) -> None:
        await asyncio.sleep(random.random() / 1_000)  # noqa: S311  no secret
        analytics.track(event=name, properties={"number": number})

    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(3):
        await part("Part Sent")
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
    scope["state"]["tasks"].append(asyncio.create_task(part("Task Run")))
    await asyncio.to_thread(analytics.track, event="Thread Run", properties={"number": number})
    await send({"type": "http.response.body", "body": b"x"})


def expect_each_with_its_own(segment: Capture, count: int) -> None:
    assert len(segment.messages) == 5 * count
    for message in segment.messages:
        number = message["properties"]["number"]
        assert message["userId"] == f"user-{number}"
        assert message["context"]["page"]["path"] == f"/{number}"


def user_of(scope: Any) -> str:
    return f"user-{scope['path'][1:]}"


def test_concurrent_requests_never_see_the_scope_of_another(segment: Capture) -> None:
    app = SegmentMiddleware(stream, user_id=user_of)

    async def main() -> None:
        state: dict[str, Any] = {"tasks": []}
        requests = (run(app, path=f"/{number}", state=state) for number in range(200))
        await asyncio.gather(*requests)
        await asyncio.gather(*state["tasks"])
        assert current_scope.get() is None

    asyncio.run(main())
    expect_each_with_its_own(segment, 200)


def test_uvicorn_keeps_the_scopes_of_requests_apart(
    segment: Capture, listener: socket.socket
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["state"] = {"tasks": []}
        await stream(scope, receive, send)
        await asyncio.gather(*scope["state"]["tasks"])  # the server waits for them, too

    middleware = SegmentMiddleware(app, user_id=user_of)
    config = uvicorn.Config(middleware, lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()

    async def request(number: int) -> None:
        reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
        writer.write(f"GET /{number} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()

    async def main() -> None:
        await asyncio.gather(*map(request, range(200)))

    try:
        asyncio.run(main())
    finally:
        server.should_exit = True
        thread.join(10)
    expect_each_with_its_own(segment, 200)
