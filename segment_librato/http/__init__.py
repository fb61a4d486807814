"""Step 6: connections, on which every request ends in time.

Owns sessions, deadlines, and how to read whatever a server sends. The only package that imports
`requests` and urllib3, and so the one that checks that they can be used. Must not know what is
sent.
"""

from __future__ import annotations

import re

from segment_librato.errors import DeliveryError

__all__ = ["check_urllib3"]

# The oldest that each Python we support can import: 1.22 fails on all, 1.26.4 from 3.12 on.
# `requests` brings urllib3, and is content with 1.21.1 up to 2.32.
MIN_URLLIB3 = (1, 26, 5)


def check_urllib3() -> None:
    """Check that urllib3 can be used, which our dependencies alone cannot promise.

    Raises:
        DeliveryError: it is too old; the text says what to do.
        ImportError: it cannot be imported for another reason.
    """
    try:
        import urllib3

        version = vars(urllib3)["__version__"]
    except ImportError:
        from importlib import metadata

        try:
            version = metadata.version("urllib3")
        except metadata.PackageNotFoundError:
            version = ""
        if not _is_too_old(version):
            raise
    if _is_too_old(version):
        oldest = ".".join(map(str, MIN_URLLIB3))
        text = f"sending needs urllib3 {oldest} or later, not {version}"
        raise DeliveryError(f"{text}; pip install --upgrade urllib3")


def _is_too_old(version: str) -> bool:
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    return bool(numbers) and numbers < MIN_URLLIB3


check_urllib3()
