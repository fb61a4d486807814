"""What an API is to the server: rules that judge a request, and a store that keeps its content.

And what an extension is: it stands before the APIs, and sees what they decide. Owns these
interfaces only. Must not know any API or extension.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar

from segment_librato.devserver.http.exchange import JsonObject, Request, Response, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from segment_librato.devserver.http.connection import Handler
    from segment_librato.devserver.librato.samples import Sample

__all__ = ["Accepted", "Api", "Decision", "Extension", "Store"]

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


@dataclass(frozen=True, eq=False)
class Decision:
    """What the server has decided about a request.

    Attributes:
        request: the request, with its status.
        body: its body as sent.
        verdict: what the API made of it.
        accepted: what was accepted of it.
        is_scripted: whether `respond` determined the response.
        accepts: whether the content was accepted, as far as the API's rules allow.
    """

    request: Request
    body: bytes
    verdict: Verdict
    accepted: Accepted
    is_scripted: bool
    accepts: bool


class Extension(Protocol):
    """Stands before the APIs; called in the threads of the connections, without a lock held.

    Attributes:
        body_limits: where the bodies of requests are cut off, by path, if not as usual.
        headers: headers of every response, unless the response itself has others.
    """

    body_limits: Mapping[str, int]
    headers: Mapping[str, str]

    def handle(self, request: Request, body: bytes, proceed: Handler) -> Response:
        """Return a response of its own, or that of `proceed`, which asks the APIs."""
        ...

    def observe(self, decision: Decision) -> None:
        """See a decision, in the thread of the request and before its response is sent."""
        ...

    def close(self) -> None:
        """End all that waits: the server closes. May be repeated."""
        ...
