"""The words of the API for what becomes of a message, as Segment's documentation and pages have it.

They are those of "Server-side troubleshooting" in Segment's documentation, for what it names; the
rest keeps the words of our rules, which are more precise. Pure.
"""

from __future__ import annotations

__all__ = ["DUPLICATE", "in_api_words"]

DUPLICATE = "Event dropped during deduplication"

_WORDS = {
    "userId or anonymousId is needed": "Identifier is not present",
    "track needs a string event": "Track event is missing name",
    "the message exceeds 32 KB": "Payload is too large",
    "the request exceeds 500 KB": "Payload is too large",
}


def in_api_words(problem: str) -> str:
    """Return what the API calls a problem that our rules have found."""
    words = _WORDS.get(problem)
    return f"{words}: {problem}" if words else problem
