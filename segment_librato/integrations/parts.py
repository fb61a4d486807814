"""A response that is made while it is sent: each part of it is made in the scope of its request.

Not a generator with the scope around all of it: between two parts, whoever sends them would be in
the scope, too. Must not know any framework.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

    from segment_librato.scopes import Scope

__all__ = ["Parts", "async_parts"]


class Parts:
    """The parts of a response, whichever thread sends them."""

    def __init__(self, body: Iterable[bytes], scope: Scope) -> None:
        """Make the parts of a body; also what that runs is in the scope."""
        self._body = body
        self._scope = scope
        with scope:
            self._parts = iter(body)

    def __iter__(self) -> Iterator[bytes]:
        """Return the parts themselves."""
        return self

    def __next__(self) -> bytes:
        """Return the next part."""
        with self._scope:
            return next(self._parts)

    def close(self) -> None:
        """Close the body, if it can be; servers do so in any case."""
        with self._scope:
            getattr(self._body, "close", bool)()


async def async_parts(body: AsyncIterable[bytes], scope: Scope) -> AsyncIterator[bytes]:
    """Yield the parts of a response."""
    parts = aiter(body)
    with suppress(StopAsyncIteration):
        while True:
            with scope:
                part = await anext(parts)
            yield part
