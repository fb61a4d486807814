"""The URL of a proxy, as it may be shown: it may have a password in it.

Must not know which proxy is used, or for what.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

__all__ = ["without_password"]


def without_password(proxy: str) -> SplitResult:
    """Return the URL of a proxy, without user and password.

    Raises:
        ValueError: it is not a URL, or a part of a password might be left.
    """
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    if not parts.hostname or parts.port == 0 or "@" in parts.geturl():
        raise ValueError("not the URL of a proxy")
    return parts
