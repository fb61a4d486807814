"""doctor: what could keep messages from Segment, and what to do about it.

Owns how findings are shown. Must not know what is looked at.
"""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

import click

from segment_librato.cli.checks import examine
from segment_librato.cli.finding import OK, PROBLEM, WARNING
from segment_librato.cli.options import SOME_SECONDS, with_account, with_output
from segment_librato.foreign.printable import printable

if TYPE_CHECKING:
    from segment_librato.cli.finding import Finding
    from segment_librato.cli.output import Output

__all__ = ["doctor"]

STYLES = {OK: "green", WARNING: "yellow", PROBLEM: "bold red"}
INDENT = " " * 26
MIN_WIDTH = 20  # of a text; a terminal that has less wraps by itself


@click.command(help="Look for what could keep messages from the API; exit 1 if there is a problem.")
@click.option("--send", is_flag=True, help="Send a test event, too.")
@click.option("--timeout", type=SOME_SECONDS, default=10.0, show_default=True, help="Of each step.")
@with_account
@with_output
def doctor(
    output: Output, write_key: str | None, host: str | None, timeout: float, send: bool
) -> int:
    """Show each finding as soon as it is there."""
    counts = {OK: 0, WARNING: 0, PROBLEM: 0}
    for finding in examine(write_key, host, timeout, send=send):
        counts[finding.state] += 1
        output.record(**finding._asdict())
        if output.is_text:
            _show(finding, output)
    warnings, problems = counts[WARNING], counts[PROBLEM]
    output.say(f"problems: {problems}, warnings: {warnings}", STYLES[PROBLEM if problems else OK])
    return 1 if problems else 0


def _show(finding: Finding, output: Output) -> None:
    from rich.text import Text  # it is not for completion

    first, *more = _lines(finding.text, output)
    head = (f"{finding.state:<8}", STYLES[finding.state]), f"{finding.name:<18}"
    output.show(Text.assemble(*head, first))
    for line in more:
        output.say(f"{INDENT}{line}")
    for line in _lines(finding.advice, output) if finding.advice else ():
        output.say(f"{INDENT}{line}", "dim")


def _lines(text: str, output: Output) -> list[str]:
    """Wrap a text on a terminal; elsewhere, scripts look at whole lines."""
    text = printable(text)
    width = output.console.width - len(INDENT) - 1 if output.is_terminal else 0
    return wrap(text, width, break_on_hyphens=False) if width >= MIN_WIDTH else [text]
