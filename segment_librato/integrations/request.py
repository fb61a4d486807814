"""The scope of a request: what it takes from what the server and the browser say.

Owns the names that Segment's specification has for it, what is left out unless it is asked for, and
that nothing a browser sends makes a message invalid or too large. Must not know any framework.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from segment_librato.errors import ConfigError, unexpected
from segment_librato.foreign.interruption import Suppressed
from segment_librato.scopes import scope

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from segment_librato.message.fields import Identifier, Message
    from segment_librato.scopes import Scope

__all__ = ["Choices", "Request", "make_scope", "request_of"]

MAX_LENGTH = 1_024  # characters of each text: all of them fit in a message many times over
MAX_ID_LENGTH = 100
PATH_CHARACTERS = "/:@!$&'()*+,;=~"  # what a path may have as it is, beside letters and digits
HOST = re.compile(r"[\w.-]+(:\d+)?|\[[\da-fA-F:.]+\](:\d+)?", re.ASCII)
LANGUAGE = re.compile(
    r"\s*([A-Z]{1,8}(?:-[A-Z\d]{1,8}){0,3})\s*(?:;\s*q\s*=\s*([01]\.?\d*)\s*)?",
    re.ASCII | re.IGNORECASE,
)
AJS_COOKIE = re.compile(r"(?:^|;)\s*ajs_anonymous_id=([^;\s]+)")


ENVIRON = (  # the fields of a request, from the query string on
    *("QUERY_STRING", "REMOTE_ADDR", "HTTP_USER_AGENT", "HTTP_REFERER"),
    *("HTTP_ACCEPT_LANGUAGE", "HTTP_COOKIE"),
)


class Request(NamedTuple):
    """A request, as far as it is known; what is not is empty. The path is decoded."""

    scheme: str
    host: str
    path: str
    query: str
    ip: str
    user_agent: str
    referrer: str
    languages: str
    cookies: str


class Choices(NamedTuple):
    """What a scope takes from a request only if it is asked to.

    Attributes:
        ip: the address of the client.
        query: the query strings of the page and of the one that led to it.
        ajs_cookie: the anonymous id that analytics.js keeps in a cookie.
    """

    ip: bool = False
    query: bool = False
    ajs_cookie: bool = False

    @classmethod
    def of(cls, options: Mapping[str, object]) -> Choices:
        """Return the choices that options make.

        Raises:
            ConfigError: there is no such option, or it has a wrong type; the text names it.
        """
        for name, value in options.items():
            if name not in cls._fields:
                raise ConfigError(f"{name}: there are only the options {', '.join(cls._fields)}")
            if not isinstance(value, bool):
                raise ConfigError(unexpected(name, "a bool", value))
        return cls(**options)  # type: ignore[arg-type]  # each is a bool


def request_of(scheme: str, host: str, path: str, environ: Mapping[str, Any]) -> Request:
    """Return a request whose rest is in the environ of WSGI, or in what Django calls META."""
    return Request(scheme, host, path, *(environ.get(name, "") for name in ENVIRON))


def make_scope(
    request: Request, choices: Choices, user_id: Callable[[], Identifier | None] | None = None
) -> Scope:
    """Return the scope of a request, whose user the function returns."""
    visitor = _anonymous_id(request.cookies) if choices.ajs_cookie else None
    return scope(user_id, visitor, _context(request, choices))


def _context(request: Request, choices: Choices) -> Message:
    search = f"?{request.query}" if request.query and choices.query else ""
    path = quote(request.path[:MAX_LENGTH], safe=PATH_CHARACTERS, errors="replace")
    is_url = path.startswith("/") and HOST.fullmatch(request.host)
    page = {
        "path": path,
        "url": f"{request.scheme}://{request.host}{path}{search}" if is_url else "",
        "search": search,
        "referrer": _referrer(request.referrer, choices),
    }
    context: dict[str, Any] = {
        "ip": request.ip if choices.ip else "",
        "userAgent": request.user_agent,
        "locale": _locale(request.languages),
    }
    texts = {name: text[:MAX_LENGTH] for name, text in context.items() if text}
    return {**texts, "page": {name: text[:MAX_LENGTH] for name, text in page.items() if text}}


def _referrer(url: str, choices: Choices) -> str:
    """Return the URL of the page that led to this one, without what may be a secret."""
    with Suppressed(ValueError):  # brackets without an address in them, for example
        scheme, network, path, query, _ = urlsplit(url[:MAX_LENGTH])
        host = network.rpartition("@")[2]
        return urlunsplit((scheme, host, path, query if choices.query else "", ""))
    return ""


def _locale(languages: str) -> str:
    """Return the language that the browser likes best."""
    best, most = "", 0.0
    for language in languages[:MAX_LENGTH].split(","):
        found = LANGUAGE.fullmatch(language)
        if found and (weight := float(found[2] or 1)) > most:
            best, most = found[1], weight
    return best


def _anonymous_id(cookies: str) -> str | None:
    """Return what analytics.js has in its cookie: an id, or in older versions its JSON."""
    found = AJS_COOKIE.search(cookies)
    text = unquote(found[1]).strip('"') if found else ""
    return text if text.isprintable() and 0 < len(text) <= MAX_ID_LENGTH else None
