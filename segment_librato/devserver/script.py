"""Scripted answers: which request gets another answer than the API's own, and how often.

Must not know sockets or locks: the server calls it with its state locked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.devserver.exchange import Answer, Request

__all__ = ["Script", "ScriptedAnswer"]


@dataclass
class ScriptedAnswer:
    """An answer in waiting.

    Attributes:
        answer: what is sent instead of the API's own answer.
        accept: whether the messages of the request are accepted all the same.
        times: how many more requests get it; None for all.
        delay: seconds between the decision and the answer.
        when: which requests get it; None for any.
        has_body: whether the body is as asked for, or left to the API.
    """

    answer: Answer
    accept: bool = True
    times: int | None = 1
    delay: float = 0.0
    when: Callable[[Request], bool] | None = None
    has_body: bool = True


class Script:
    """The scripted answers that are left, in the order in which they were given."""

    def __init__(self) -> None:
        self._scripted: list[ScriptedAnswer] = []

    def add(self, scripted: ScriptedAnswer) -> None:
        """Put an answer at the end."""
        self._scripted.append(scripted)

    def clear(self) -> None:
        """Forget all answers."""
        self._scripted.clear()

    def take(self, request: Request) -> ScriptedAnswer | None:
        """Return the first answer that matches `request`, and use it up once."""
        for scripted in self._scripted:
            if scripted.when is None or scripted.when(request):
                self._use_up(scripted)
                return scripted
        return None

    def _use_up(self, scripted: ScriptedAnswer) -> None:
        if scripted.times is not None:
            scripted.times -= 1
            if scripted.times <= 0:
                self._scripted.remove(scripted)
