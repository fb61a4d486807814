"""Text from outside, made safe for a terminal, a log and an error tracker.

Servers, the environment and property names may hold escape sequences, line breaks and characters
that reorder a line: with them somebody could forge a log line, or hide one. Every error and every
log line passes through here. Must not know anything else of the library.
"""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str) -> str:
    """Return `text` with escapes for what could move the cursor, recolor or reorder a line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
