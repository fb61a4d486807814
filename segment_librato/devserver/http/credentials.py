"""User name and password of HTTP Basic authentication (RFC 7617).

Must not know who may do what: each API judges credentials itself.
"""

from __future__ import annotations

import base64

__all__ = ["read_basic"]


def read_basic(authorization: str) -> tuple[str, str]:
    """Return user name and password of an `Authorization` header, both empty if it has none."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        text = base64.b64decode(credentials, validate=True).decode("utf-8")
    except ValueError:
        return "", ""
    user, _, password = text.partition(":")
    return user, password
