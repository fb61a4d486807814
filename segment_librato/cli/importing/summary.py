"""What became of the rows of an import, as a table or as JSON.

Owns its words. Must not know how an import goes.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from segment_librato.bulk.report import OTHER_REASONS

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.bulk.report import ImportReport
    from segment_librato.cli.output import Output

__all__ = ["Summary", "numbers"]

REASONS = 10  # that a table has; JSON has all
WIDTH = 10
NOT_KEPT = (
    "rejected rows were not kept; --dry-run --rejects FILE lists those that are wrong by themselves"
)


def numbers(report: ImportReport, *, is_dry: bool) -> dict[str, Any]:
    """Return what a report has, for JSON; a dry run delivers nothing."""
    names = {"delivered": "valid"} if is_dry else {}
    return {names.get(name, name): value for name, value in report._asdict().items()}


class Summary(NamedTuple):
    """The end of an import.

    Attributes:
        report: what became of the rows.
        rejected_before: how many rows earlier runs rejected.
        seconds: how long it took.
        state: the file with what is settled, if there is one.
        rejects: the file with the rejected rows, if there is one.
        is_dry: whether nothing was sent.
        stopped: why it ended before its end; None if it did not.
    """

    report: ImportReport
    rejected_before: int
    seconds: float
    state: Path | None
    rejects: str | None
    is_dry: bool
    stopped: str | None = None

    def show(self, output: Output) -> None:
        """Write it."""
        report, seconds = self.report, max(self.seconds, 0.001)
        rate = (report.delivered + report.rejected) / seconds
        output.record(
            event="report",
            dry_run=self.is_dry,
            **numbers(report, is_dry=self.is_dry),
            rejected_before=self.rejected_before,
            seconds=round(seconds, 3),
            rate=round(rate),
            state=self.state and str(self.state),
            rejects=self.rejects,
            stopped=self.stopped,
        )
        self._say(output, "read", f"{report.read:,}")
        self._say(output, "valid" if self.is_dry else "delivered", f"{report.delivered:,}", "green")
        self._say_rejected(output)
        self._say(output, "skipped", f"{report.skipped:,}")
        output.say(f"took {seconds:.1f} s" + (f", {rate:,.0f} rows a second" if rate else ""))
        for name, path in (("state", self.state), ("rejects", self.rejects)):
            if path:
                output.say(f"{name}: {path}")
        if report.rejected and not (self.rejects or self.is_dry):
            output.say(NOT_KEPT)

    def _say_rejected(self, output: Output) -> None:
        report = self.report
        before = f"  (in earlier runs: {self.rejected_before:,})" if self.rejected_before else ""
        style = "red" if report.rejected else ""
        self._say(output, "rejected", f"{report.rejected:,}", style, before)
        counts = Counter(report.reasons)
        others = counts.pop(OTHER_REASONS, 0)
        shown = counts.most_common(REASONS)
        others += counts.total() - sum(count for _, count in shown)
        for reason, count in [*shown, *([(OTHER_REASONS, others)] if others else [])]:
            output.say(f"{'':<{WIDTH}}  {count:>14,}  {reason}", "red")

    @staticmethod
    def _say(output: Output, name: str, number: str, style: str = "", more: str = "") -> None:
        output.say(f"{name:<{WIDTH}}{number:>16}{more}", style)
