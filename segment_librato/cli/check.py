"""check: what is wrong with each message in a file, going by Segment's spec and a tracking plan.

Owns the words for each line, and the exit status for CI. Must not know how a message is checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from segment_librato.cli.lines import read_lines, read_message
from segment_librato.cli.options import with_output
from segment_librato.events import Problem, TrackingPlan
from segment_librato.events import check as check_message

if TYPE_CHECKING:
    from segment_librato.cli.output import Output

__all__ = ["check"]


@click.command(help="Compare each line of JSON in FILE with Segment's spec; - is stdin.")
@click.argument("file", type=click.File("rb"))
@click.option("--plan", metavar="FILE", help="Compare with a tracking plan, too: its JSON.")
@with_output
def check(file: Any, plan: str | None, output: Output) -> int:  # noqa: ANN401  click's file
    """Check each line; return 1 if there is a problem."""
    rules = TrackingPlan.load(plan) if plan else None
    count = problems = 0
    for number, line in read_lines(file):
        count += 1
        for problem in _check_line(line, rules):
            problems += 1
            output.record(line=number, **problem._asdict())
            output.say(f"{number:>6}  {problem.text}", "red")
        if not output.has_reader:
            break
    output.record(lines=count, problems=problems)
    output.say(f"lines: {count:,}, problems: {problems:,}")
    return 1 if problems else 0


def _check_line(line: bytes, plan: TrackingPlan | None) -> list[Problem]:
    try:
        message = read_message(line)
    except ValueError as error:
        return [Problem("no_message", "", str(error))]
    return check_message(message, plan)
