"""Middleware for WSGI: Flask, and whatever else gunicorn, uWSGI or mod_wsgi serves.

Owns where an environ has what a request is about, and that a response which is made while it is
sent is made in the scope. Imports no framework.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from segment_librato.integrations.parts import Parts
from segment_librato.integrations.request import Choices, Request, make_scope, request_of

if TYPE_CHECKING:
    from segment_librato.message.fields import Identifier

__all__ = ["SegmentMiddleware"]

Environ: TypeAlias = dict[str, Any]
WSGIApp: TypeAlias = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class SegmentMiddleware:
    """Opens a scope for each request: `app.wsgi_app = SegmentMiddleware(app.wsgi_app)`."""

    def __init__(
        self,
        app: WSGIApp,
        *,
        user_id: Callable[[Environ], Identifier | None] | None = None,
        ip: bool = False,
        query: bool = False,
        ajs_cookie: bool = False,
    ) -> None:
        """Wrap an application. The options are those of the middleware for ASGI.

        Args:
            app: the application.
            user_id: returns the id of the user, or None, given the environ.
            ip: take the address of the client.
            query: take the query strings of the page and of its referrer.
            ajs_cookie: take the anonymous id of analytics.js from its cookie.

        Raises:
            ConfigError: an option has a wrong type.
        """
        self._app = app
        self._user_id = user_id
        self._choices = Choices.of({"ip": ip, "query": query, "ajs_cookie": ajs_cookie})

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Run the application in a scope."""
        user_id = partial(self._user_id, environ) if self._user_id else None
        scope = make_scope(_request(environ), self._choices, user_id)
        with scope:
            body = self._app(environ, start_response)
        wrapper = environ.get("wsgi.file_wrapper")
        is_file = isinstance(wrapper, type) and isinstance(body, wrapper)
        # No code of the application makes these, and servers send them faster.
        return body if is_file or isinstance(body, (list, tuple)) else Parts(body, scope)


def _request(environ: Environ) -> Request:
    host, port = environ.get("SERVER_NAME", ""), environ.get("SERVER_PORT", "")
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    path = path.encode("latin-1", "replace").decode("utf-8", "replace")
    host = environ.get("HTTP_HOST") or f"{host}:{port}"
    return request_of(environ.get("wsgi.url_scheme", "http"), host, path, environ)
