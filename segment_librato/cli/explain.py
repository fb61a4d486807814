"""explain: what the API would say of each message in a file, and the gauge that it makes.

Owns the words for each line. Must not know the rules of either API, or Segment's spec.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from segment_librato.cli.lines import read_lines, read_message
from segment_librato.cli.options import with_output
from segment_librato.devserver.segment.rules import find_drop_reasons, find_problem
from segment_librato.devserver.segment.words import DUPLICATE, in_api_words
from segment_librato.events import check
from segment_librato.librato import explain as explain_gauge
from segment_librato.librato import map_message

if TYPE_CHECKING:
    from segment_librato.cli.output import Output

__all__ = ["explain"]


@dataclass
class _Line:
    """What became of a line.

    Attributes:
        verdict: "ok", "rejected" with 400, or "dropped" after a 200.
        reason: why; empty if it is ok.
        gauge: what Librato would get; None if nothing.
        explanation: where that comes from, or why there is none.
        problems: what is wrong with it going by Segment's spec; it arrives all the same.
    """

    verdict: str = "ok"
    reason: str = ""
    gauge: dict[str, Any] | None = None
    explanation: str = ""
    problems: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


@dataclass
class _Judge:
    """The API, as far as single messages are concerned."""

    seen: set[str] = field(default_factory=set[str])

    def judge(self, line: bytes) -> _Line:
        """Return what becomes of a message."""
        try:
            message = read_message(line)
        except ValueError as error:
            return _Line("rejected", str(error))
        if problem := find_problem(message):
            return _Line("rejected", in_api_words(problem))
        (drop,) = find_drop_reasons([message], len(line))
        if drop:
            return _Line("dropped", in_api_words(drop))
        if message_id := message.get("messageId"):
            if message_id in self.seen:
                return _Line("dropped", DUPLICATE)
            self.seen.add(message_id)
        measurement = map_message(message)
        gauge = measurement.as_dict() if measurement else None
        problems = [problem._asdict() for problem in check(message)]
        return _Line(gauge=gauge, explanation=explain_gauge(message), problems=problems)


@click.command(help="Say what the API would make of each line of JSON in FILE; - is stdin.")
@click.argument("file", type=click.File("rb"))
@with_output
def explain(file: Any, output: Output) -> int:  # noqa: ANN401  click's file
    """Explain each line; return 1 if one of them would not arrive."""
    judge, problems = _Judge(), 0
    for number, line in read_lines(file):
        found = judge.judge(line)
        problems += found.verdict != "ok"
        output.record(line=number, **vars(found))
        text = f"{found.verdict}: {found.reason}" if found.reason else found.verdict
        output.say(f"{number:>6}  {text}", "" if found.verdict == "ok" else "red")
        if found.explanation:
            output.say(f"        {found.explanation}", "dim")
        for problem in found.problems:
            output.say(f"        {problem['text']}", "yellow")
        if not output.has_reader:
            break
    return 1 if problems else 0
