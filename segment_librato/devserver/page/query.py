"""The parameters of a request and the fields of its body, and what is wrong with them.

Pure. Must not know what they are for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from segment_librato.devserver.http.body import parse_object
from segment_librato.devserver.http.exchange import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Query", "read_content"]

MAX_FIELDS = 100
MAX_TEXT = 1000
MAX_ID = 2**62


class Query:
    """The parameters of one request; an empty one counts as missing."""

    def __init__(self, query: str, known: Collection[str]) -> None:
        """Read a query string.

        Args:
            query: what follows the question mark.
            known: the names that it may have.

        Raises:
            InvalidRequestError: It has other names, or too many.
        """
        try:
            self._values = parse_qs(query, errors="replace", max_num_fields=MAX_FIELDS)
        except ValueError:
            raise InvalidRequestError(400, f"more than {MAX_FIELDS} parameters") from None
        if unknown := sorted(self._values.keys() - set(known)):
            text = f"unknown parameter {unknown[0][:50]!a}, known are {', '.join(known)}"
            raise InvalidRequestError(400, text)

    def all(self, name: str) -> list[str]:
        """Return every value of a parameter that may repeat."""
        return self._values.get(name, [])

    def text(self, name: str) -> str:
        """Return a value; empty if there is none."""
        values = self.all(name)
        if len(values) > 1:
            raise InvalidRequestError(400, f"{name} is given twice")
        if values and len(values[0]) > MAX_TEXT:
            raise InvalidRequestError(400, f"{name} exceeds {MAX_TEXT} characters")
        return values[0] if values else ""

    def choice(self, name: str, choices: Collection[str]) -> str:
        """Return a value that is one of `choices`; empty if there is none."""
        value = self.text(name)
        if value and value not in choices:
            raise InvalidRequestError(400, f"{name} is not one of {', '.join(choices)}")
        return value

    def choices(self, name: str, choices: Collection[str]) -> list[str]:
        """Return the values of a parameter that may repeat, each one of `choices`."""
        values = self.all(name)
        if not set(values) <= set(choices):
            raise InvalidRequestError(400, f"{name} is not one of {', '.join(choices)}")
        return values

    def whole(self, name: str, default: int, least: int = 0, most: int = MAX_ID) -> int:
        """Return a whole number."""
        text = self.text(name)
        if not text:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < len(str(MAX_ID))):
            raise InvalidRequestError(400, f"{name} is not a whole number")
        if not least <= int(text) <= most:
            raise InvalidRequestError(400, f"{name} is not between {least} and {most}")
        return int(text)

    def id(self, name: str) -> int | None:
        """Return an id; None if there is none."""
        return self.whole(name, 0) if self.text(name) else None


def read_content(body: bytes, known: set[str]) -> dict[str, Any]:
    """Return the object that a body has, with no other fields than the known ones.

    Raises:
        InvalidRequestError: It has something else.
    """
    try:
        content = parse_object(body)
    except RecursionError:
        raise InvalidRequestError(400, "the body is nested too deeply") from None
    if unknown := sorted(content.keys() - known):
        text = f"unknown field {unknown[0][:50]!a}, known are {', '.join(sorted(known))}"
        raise InvalidRequestError(400, text)
    return content
