"""Scopes with FastAPI and Starlette: both kinds of endpoints, streams, tasks and sockets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import httpx2
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.testclient import TestClient

import segment_librato as analytics
from segment_librato.integrations.asgi import SegmentMiddleware
from segment_librato.message.scope import current_scope
from segment_librato.testing import Capture, capture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

app = FastAPI()


@app.middleware("http")
async def authenticate(request: Request, call_next: Any) -> Any:
    """Find out who the user is, inside of our middleware, as a `BaseHTTPMiddleware`."""
    request.state.user_id = request.headers.get("x-user")
    return await call_next(request)


app.add_middleware(SegmentMiddleware, user_id=lambda scope: scope["state"]["user_id"])


def track(event: str) -> None:
    analytics.track(event=event)


async def user_of_the_path(name: str) -> AsyncIterator[str]:
    with analytics.scope(name):
        yield name


@app.get("/async")
async def coroutine() -> None:
    track("Seen")


@app.get("/sync")
def function() -> None:
    track("Seen")


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def parts() -> AsyncIterator[str]:
        for _ in range(3):
            await asyncio.sleep(0)
            track("Part Sent")
            yield "x"

    return StreamingResponse(parts())


@app.get("/sync-stream")
def sync_stream() -> StreamingResponse:
    def parts() -> Iterator[str]:
        for _ in range(3):
            track("Part Sent")
            yield "x"

    return StreamingResponse(parts())


@app.get("/background")
async def background(tasks: BackgroundTasks) -> None:
    tasks.add_task(track, "Task Run")  # on a thread

    async def later() -> None:
        track("Task Run")

    tasks.add_task(later)


@app.get("/users/{name}")
def depending(name: Annotated[str, Depends(user_of_the_path)]) -> None:
    track("Seen")


@app.get("/fail")
async def fail() -> None:
    raise LookupError("no such page")


@app.websocket("/socket")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    websocket.state.user_id = "user-1"
    track("Connected")
    await websocket.close()


@pytest.fixture
def segment() -> Iterator[Capture]:
    with capture() as recorded:
        yield recorded


def users_after(segment: Capture, path: str) -> list[str]:
    response = TestClient(app).get(path, headers={"x-user": "user-1", "user-agent": "Lynx"})
    assert response.status_code == 200
    pages = [message["context"]["page"] for message in segment.messages]
    assert pages == [{"path": path, "url": f"http://testserver{path}"}] * len(pages)
    assert {message["context"]["userAgent"] for message in segment.messages} == {"Lynx"}
    return [message["userId"] for message in segment.messages]


@pytest.mark.parametrize("path", ["/async", "/sync"])
def test_an_endpoint_is_in_the_scope_of_its_request(segment: Capture, path: str) -> None:
    assert users_after(segment, path) == ["user-1"]


@pytest.mark.parametrize("path", ["/stream", "/sync-stream"])
def test_a_stream_is_in_the_scope_of_its_request(segment: Capture, path: str) -> None:
    assert users_after(segment, path) == ["user-1"] * 3


def test_background_tasks_are_in_the_scope_of_their_request(segment: Capture) -> None:
    assert users_after(segment, "/background") == ["user-1"] * 2


def test_a_dependency_may_open_a_scope_for_its_endpoint(segment: Capture) -> None:
    assert users_after(segment, "/users/ada") == ["ada"]


def test_a_websocket_is_in_a_scope(segment: Capture) -> None:
    with TestClient(app).websocket_connect("/socket"):
        pass
    (message,) = segment.messages
    assert message["userId"] == "user-1"
    assert message["context"]["page"]["url"] == "ws://testserver/socket"


def test_an_exception_passes() -> None:
    with pytest.raises(LookupError, match="no such page"):
        TestClient(app).get("/fail")
    assert current_scope.get() is None


def test_concurrent_requests_never_see_the_scope_of_another(segment: Capture) -> None:
    async def main() -> None:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://shop.example") as http:

            async def request(number: int) -> None:
                path = ("/async", "/sync", "/stream", "/background")[number % 4]
                user = {"x-user": f"user-{number}", "user-agent": f"agent-{number}"}
                assert (await http.get(path, headers=user)).status_code == 200

            await asyncio.gather(*map(request, range(200)))

    asyncio.run(main())
    assert len(segment.messages) == 50 * (1 + 1 + 3 + 2)
    for message in segment.messages:
        assert message["context"]["userAgent"].split("-")[1] == message["userId"].split("-")[1]


def test_it_is_outside_of_middleware_that_starts_tasks(segment: Capture) -> None:
    """`BaseHTTPMiddleware` runs what is inside of it in a task: tasks inherit scopes."""

    async def passing(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    outer = BaseHTTPMiddleware(SegmentMiddleware(BaseHTTPMiddleware(app, passing)), passing)
    response = TestClient(outer).get("/async", headers={"x-user": "user-1"})
    assert response.status_code == 200
    assert [message["userId"] for message in segment.messages] == ["user-1"]
