"""Who sends a request: a program on this machine, or a web page that a browser here shows.

A page of any site can post to a local server, and by DNS rebinding (its own host name leads to
127.0.0.1 for a moment) read from it as well. But a browser says so in the headers Origin and Host,
which a page cannot change. Must not know what a request is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from segment_librato.config.validators import is_loopback
from segment_librato.devserver.http.exchange import InvalidRequestError

if TYPE_CHECKING:
    from email.message import Message

__all__ = ["check_sender"]

FORBIDDEN = 403


def check_sender(target: str, headers: Message) -> None:
    """Reject a request that a page of another site made, or one under another site's name.

    Args:
        target: what the request line names, a path or a URL. With a URL, this server is meant as
            a proxy, and Host names another one.
        headers: the headers; a program may leave out both.

    Raises:
        InvalidRequestError: a header names another host than this machine.
    """
    is_for_proxy = not target.startswith("/") and "://" in target
    for origin in headers.get_all("Origin", []):
        _check("Origin", origin)
    for host in [] if is_for_proxy else headers.get_all("Host", []):
        _check("Host", f"//{host}")


def _check(header: str, url: str) -> None:
    try:
        is_local = is_loopback(urlsplit(url).hostname or "")
    except ValueError:  # it is no URL
        is_local = False
    if not is_local:
        text = f"the {header} is not localhost or 127.0.0.1: web pages have no access"
        raise InvalidRequestError(FORBIDDEN, text)
