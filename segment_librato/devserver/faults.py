"""Scripted responses: which requests get a response other than the API's own, and how many.

Must not know sockets or locks: the server calls it while it holds its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from segment_librato.devserver.http.exchange import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from segment_librato.devserver.http.exchange import Request

__all__ = ["FaultScript", "ScriptedResponse"]


STATUSES = range(200, 600)
SUCCESS = range(200, 300)


@dataclass(eq=False)
class ScriptedResponse:
    """A response that is waiting for its requests.

    Attributes:
        status: the status; None closes the connection without a response.
        body: the body; None for the API's own, for success or error.
        headers: added to the usual headers, or replacing them.
        accept: whether the content of the request is accepted; None: only if the status is 2xx.
        times: how many more requests get it; None for all.
        delay: seconds between the decision and the response.
        when: which requests get it; None for any.
        is_withdrawn: whether no more requests get it.
        waiting: how many requests have used it up, and wait for their response.

    Raises:
        ValueError: The status is not between 200 and 599, or `times` is below 1.
    """

    status: int | None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    accept: bool | None = None
    times: int | None = 1
    delay: float = 0.0
    when: Callable[[Request], bool] | None = None
    is_withdrawn: bool = False
    waiting: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        if self.status is not None and self.status not in STATUSES:
            raise ValueError("status is not between 200 and 599")
        if self.times is not None and self.times < 1:
            raise ValueError("times is below 1")

    @property
    def is_success(self) -> bool:
        """Whether the status reports success."""
        return self.status in SUCCESS

    @property
    def accepts(self) -> bool:
        """Whether the content of the request is accepted."""
        return self.is_success if self.accept is None else self.accept

    def build(self, own: Response, build_error: Callable[[int, str], Response]) -> Response:
        """Return the response to send.

        Args:
            own: the API's own response.
            build_error: builds an error in the form of the API.
        """
        usual = own if self.is_success else build_error(self.status or 0, "scripted")
        body = usual.body if self.body is None else self.body
        return Response(self.status, body, {**usual.headers, **self.headers})


class FaultScript:
    """The scripted responses that are left, in the order in which they were added."""

    def __init__(self) -> None:
        self._scripted: list[ScriptedResponse] = []

    def add(self, scripted: ScriptedResponse) -> None:
        """Append a response."""
        self._scripted.append(scripted)

    def withdraw(self, scripted: ScriptedResponse) -> None:
        """Forget a response, if it is left, and mark it."""
        scripted.is_withdrawn = True
        if scripted in self._scripted:
            self._scripted.remove(scripted)

    def clear(self) -> None:
        """Forget all responses."""
        self._scripted.clear()

    def take(self, request: Request) -> ScriptedResponse | None:
        """Return the first response that matches `request`, and use it up once."""
        for scripted in self._scripted:
            if scripted.when is None or scripted.when(request):
                self._use_up(scripted)
                return scripted
        return None

    def _use_up(self, scripted: ScriptedResponse) -> None:
        scripted.waiting += 1
        if scripted.times is not None:
            scripted.times -= 1
            if scripted.times <= 0:
                self._scripted.remove(scripted)
