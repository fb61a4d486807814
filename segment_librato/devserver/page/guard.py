"""Who may use the page: the page itself, and programs; no other page, not even of this machine.

That Host and Origin name this machine is checked for every request (`http.sender`). The page's own
paths show and change more than an API, so they refuse what any other page makes a browser send:
also one from another port, as a program under development is one. Must not know the routes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segment_librato.devserver.http.exchange import InvalidRequestError

if TYPE_CHECKING:
    from segment_librato.devserver.http.exchange import Request

__all__ = ["READS", "check_origin"]

FORBIDDEN = 403
READS = {"GET", "HEAD"}
OTHER_SITES = {"cross-site", "same-site"}


def check_origin(request: Request) -> None:
    """Let programs, the page, and links to it pass.

    Raises:
        InvalidRequestError: Another page has sent it.
    """
    headers = request.headers
    own = f"http://{headers.get('Host', '').lower()}"
    is_foreign = any(origin.lower() != own for origin in headers.get_all("Origin", []))
    is_link = request.method in READS and headers.get("Sec-Fetch-Mode") == "navigate"
    if headers.get("Sec-Fetch-Site", "").lower() in OTHER_SITES and not is_link:
        is_foreign = True
    if is_foreign:
        raise InvalidRequestError(FORBIDDEN, "another page has no access")
