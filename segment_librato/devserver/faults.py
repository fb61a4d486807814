"""Scripted answers: which request gets another answer than the API's own, and how often.

Must not know sockets or locks: the server calls it with its state synchronized.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from segment_librato.devserver.http.exchange import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from segment_librato.devserver.http.exchange import Request

__all__ = ["FaultScript", "ScriptedResponse"]


@dataclass
class ScriptedResponse:
    """An answer in waiting.

    Attributes:
        status: the status; None closes the connection without an answer.
        body: the body; None for the API's own for success or error.
        headers: headers in addition to, or instead of, the usual ones.
        accept: whether what the request holds is accepted; None: only with a status of 2xx.
        times: how many more requests get it; None for all.
        delay: seconds between the decision and the answer.
        when: which requests get it; None for any.

    Raises:
        ValueError: The status is not between 200 and 599, or `times` is below 1.
    """

    status: int | None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    accept: bool | None = None
    times: int | None = 1
    delay: float = 0.0
    when: Callable[[Request], bool] | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        if self.status is not None and not 200 <= self.status <= 599:  # noqa: PLR2004 - HTTP's own bounds
            raise ValueError("status is not between 200 and 599")
        if self.times is not None and self.times < 1:
            raise ValueError("times is below 1")

    @property
    def is_success(self) -> bool:
        """Whether the client is told that all went well."""
        return self.status is not None and self.status < 300  # noqa: PLR2004 - the end of success in HTTP

    @property
    def accepts(self) -> bool:
        """Whether what the request holds is accepted."""
        return self.is_success if self.accept is None else self.accept

    def build(self, own: Response, build_error: Callable[[int, str], Response]) -> Response:
        """Return the answer to send.

        Args:
            own: what the API itself would answer.
            build_error: builds an error in the form of the API.
        """
        usual = own if self.is_success else build_error(self.status or 0, "scripted")
        body = usual.body if self.body is None else self.body
        return Response(self.status, body, {**usual.headers, **self.headers})


class FaultScript:
    """The scripted answers that are left, in the order in which they were given."""

    def __init__(self) -> None:
        self._scripted: list[ScriptedResponse] = []

    def add(self, scripted: ScriptedResponse) -> None:
        """Put an answer at the end."""
        self._scripted.append(scripted)

    def clear(self) -> None:
        """Forget all answers."""
        self._scripted.clear()

    def take(self, request: Request) -> ScriptedResponse | None:
        """Return the first answer that matches `request`, and use it up once."""
        for scripted in self._scripted:
            if scripted.when is None or scripted.when(request):
                self._use_up(scripted)
                return scripted
        return None

    def _use_up(self, scripted: ScriptedResponse) -> None:
        if scripted.times is not None:
            scripted.times -= 1
            if scripted.times <= 0:
                self._scripted.remove(scripted)
