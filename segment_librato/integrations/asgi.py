"""Middleware for ASGI: FastAPI, Starlette, and whatever else uvicorn or Hypercorn serves.

Owns where an ASGI scope has what a request is about. Imports no framework.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from segment_librato.integrations.request import Choices, Request, make_scope

if TYPE_CHECKING:
    from segment_librato.message.fields import Identifier

__all__ = ["SegmentMiddleware"]

ASGIScope: TypeAlias = MutableMapping[str, Any]
ASGIApp: TypeAlias = Callable[[ASGIScope, Any, Any], Awaitable[None]]


class SegmentMiddleware:
    """Opens a scope for each request and WebSocket: `app.add_middleware(SegmentMiddleware)`."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        user_id: Callable[[ASGIScope], Identifier | None] | None = None,
        ip: bool = False,
        query: bool = False,
        ajs_cookie: bool = False,
    ) -> None:
        """Wrap an application.

        Args:
            app: the application.
            user_id: returns the id of the user, or None, given the ASGI scope; it is asked by
                each call that leaves the id out.
            ip: take the address of the client.
            query: take the query strings of the page and of its referrer.
            ajs_cookie: take the anonymous id of analytics.js from its cookie.

        Raises:
            ConfigError: an option has a wrong type.
        """
        self._app = app
        self._user_id = user_id
        self._choices = Choices.of({"ip": ip, "query": query, "ajs_cookie": ajs_cookie})

    async def __call__(self, scope: ASGIScope, receive: Any, send: Any) -> None:
        """Run the application in a scope."""
        if scope["type"] not in {"http", "websocket"}:
            return await self._app(scope, receive, send)
        user_id = partial(self._user_id, scope) if self._user_id else None
        with make_scope(_request(scope), self._choices, user_id):
            return await self._app(scope, receive, send)


def _request(scope: ASGIScope) -> Request:
    headers: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        before = headers[name] + "; " if name == b"cookie" and name in headers else ""
        headers[name] = before + value.decode("latin-1")
    host, port = scope.get("server") or ("", "")
    return Request(
        scheme=scope.get("scheme", "http"),
        host=headers.get(b"host") or f"{host}:{port}",
        path=scope["path"],
        query=scope.get("query_string", b"").decode("latin-1"),
        ip=(scope.get("client") or ("",))[0],
        user_agent=headers.get(b"user-agent", ""),
        referrer=headers.get(b"referer", ""),
        languages=headers.get(b"accept-language", ""),
        cookies=headers.get(b"cookie", ""),
    )
