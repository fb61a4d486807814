"""Middleware for Django, both for WSGI and for ASGI.

Owns who the user of a request is, and where Django has what else a scope takes from one.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.utils.functional import SimpleLazyObject

from segment_librato.integrations.parts import Parts, async_parts
from segment_librato.integrations.request import Choices, Request, make_scope, request_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.message.fields import Identifier
    from segment_librato.scopes import Scope

__all__ = ["SegmentMiddleware"]


class SegmentMiddleware:
    """Opens a scope for each request, whose user is that of the session.

    The setting `SEGMENT_MIDDLEWARE` is a dict of the options `ip`, `query` and `ajs_cookie`.
    """

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self._get_response = get_response
        self._choices = Choices.of(getattr(settings, "SEGMENT_MIDDLEWARE", {}))
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def get_user_id(self, user: Any) -> Identifier | None:
        """Return the id that Segment knows a user by: the primary key. For subclasses."""
        return user.pk  # type: ignore[no-any-return]

    def __call__(self, request: Any) -> Any:
        """Return the response to a request, made in a scope; or a coroutine that does."""
        scope = make_scope(_request(request), self._choices, partial(self._user_id, request))
        if iscoroutinefunction(self):
            return self._respond(request, scope)
        with scope:
            return _in_scope(self._get_response(request), scope)

    async def _respond(self, request: Any, scope: Scope) -> Any:
        with scope:
            return _in_scope(await self._get_response(request), scope)

    def _user_id(self, request: Any) -> Identifier | None:
        """Return the id of the user, who is asked for late: to do so reads the session."""
        user = getattr(request, "user", None)
        if isinstance(user, SimpleLazyObject):  # in a coroutine, only `auser()` can load the user
            user = getattr(request, "_acached_user", user)
        return self.get_user_id(user) if user and user.is_authenticated else None


def _request(request: Any) -> Request:
    try:
        host = request.get_host()
    except DisallowedHost:  # Django answers it with a 400, if the view ever asks
        host = ""
    return request_of(request.scheme, host, request.path, request.META)


def _in_scope(response: Any, scope: Scope) -> Any:
    """Return a response whose parts, if it is made while it is sent, are made in the scope."""
    if response.streaming and not getattr(response, "file_to_stream", None):  # a file is no code
        make = async_parts if response.is_async else Parts
        response.streaming_content = make(response.streaming_content, scope)
    return response
