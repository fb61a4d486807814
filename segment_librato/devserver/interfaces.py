"""What an API is to the server: rules that judge a request, and a store that keeps its content.

Owns the two interfaces only. Must not know either API.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar

from segment_librato.devserver.http.exchange import JsonObject, Request, Response, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.devserver.librato.samples import Sample

__all__ = ["Accepted", "Api", "Store"]

AnyVerdict = TypeVar("AnyVerdict", bound=Verdict)
Accepted: TypeAlias = "tuple[JsonObject, ...] | tuple[Sample, ...]"


class Store(Protocol[AnyVerdict]):
    """What an API keeps; the server calls it while it holds its lock."""

    def settle(self, verdict: AnyVerdict) -> AnyVerdict:
        """Return the verdict with its response, where that depends on what is kept."""
        ...

    def accept(self, verdict: AnyVerdict) -> Accepted:
        """Keep what a settled verdict accepts, and return what is new of it."""
        ...


@dataclass(frozen=True)
class Api(Generic[AnyVerdict]):
    """An API that the server speaks.

    Attributes:
        judge: turns a request and its body as sent into a verdict; pure.
        build_error: turns a status and a text into a response, in the form of the API's errors.
        store: what it keeps.
    """

    judge: Callable[[Request, bytes], AnyVerdict]
    build_error: Callable[[int, str], Response]
    store: Store[AnyVerdict]
