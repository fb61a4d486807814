"""spool ls, cat, verify, drain and purge: what waits on disk, and what to do with it.

Owns the words and columns. Must not know the files: `spooling.survey` looks at them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from segment_librato.cli.options import (
    NEEDS_KEY,
    SECONDS,
    is_interactive,
    with_account,
    with_output,
)
from segment_librato.cli.output import ErrorLines, write_error
from segment_librato.cli.units import in_time, in_units
from segment_librato.config.client import Config
from segment_librato.drain import DrainReport, drain_spool
from segment_librato.foreign.printable import printable
from segment_librato.spooling import survey
from segment_librato.spooling.folder import find_spool
from segment_librato.spooling.purge import purge

if TYPE_CHECKING:
    from segment_librato.cli.output import Output

__all__ = ["spool"]

OnReport = Callable[[DrainReport], object]


def _check_folder(_: click.Context, __: click.Parameter, folder: Path) -> Path:
    """Say early what is wrong with a folder; one that has nothing yet is all right."""
    if survey.is_part_of_spool(folder):
        raise click.BadParameter(f"{folder} is inside a spool; pass the spool itself")
    if not survey.is_spool(folder):
        write_error(f"{folder} has other files, but no spool")
    return folder


_FOLDER = click.argument(
    "folder",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, readable=True, path_type=Path),
    callback=_check_folder,
)


class _Problems:
    """Writes and counts what cannot be read."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, path: Path, reason: str) -> None:
        self.count += 1
        write_error(f"{path}: {reason}")


@click.group(
    help="Look at what waits on disk, deliver it, or delete it. DIR is the option `spool`."
)
def spool() -> None:
    """Hold the commands."""


@spool.command("ls", help="List what ended processes have left, and what live ones have.")
@_FOLDER
@with_output
def list_runs(folder: Path, output: Output) -> int:
    """Show a line for each run."""
    problems = _Problems()
    runs = [*survey.survey(folder, problems)]
    for run in runs:
        output.record(**_record_of(run))
    if runs and output.is_text:
        _show_table(runs, output)
    messages, size = sum(run.messages for run in runs), sum(run.bytes for run in runs)
    moved = len(survey.quarantined(folder))
    output.record(runs=len(runs), messages=messages, bytes=size, quarantined=moved)
    output.say(f"messages: {messages:,}, {in_units(size)}; files in quarantine: {moved:,}")
    return 1 if problems.count else 0


@spool.command("cat", help="Write each message as a line of JSON, oldest first. Nothing changes.")
@_FOLDER
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Write at most N messages.")
@with_output
def write_messages(folder: Path, limit: int | None, output: Output) -> int:
    """Write the messages as they will be sent."""
    problems, left = _Problems(), limit
    for run in survey.find_runs(folder, problems):
        for payload in survey.read_messages(run, problems):
            output.data(payload.decode("utf-8", "backslashreplace"))
            left = left and left - 1
            if left == 0 or not output.has_reader:
                return 0
    return 1 if problems.count else 0


@spool.command("verify", help="Read every file; exit 1 if one is damaged. Nothing changes.")
@_FOLDER
@with_output
def verify(folder: Path, output: Output) -> int:
    """Tell of each file that cannot be read to its end."""
    files = messages = problems = 0

    def tell(path: Path, problem: str) -> None:
        nonlocal problems
        problems += 1
        output.record(path=str(path), problem=problem)
        output.say(f"{path}: {problem}", "red")

    for run in survey.survey(folder, tell):
        for file in run.files:
            files, messages = files + 1, messages + file.messages
            if file.problem:
                tell(file.path, file.problem)
    for path in survey.quarantined(folder):
        tell(path, "it could not be read, and was moved here")
    output.record(files=files, messages=messages, problems=problems)
    output.say(f"files: {files:,}, messages: {messages:,}, problems: {problems:,}")
    return 1 if problems else 0


@spool.command("drain", help="Deliver what ended processes have left; exit 1 if some stays.")
@_FOLDER
@with_account
@click.option("--timeout", type=SECONDS, help="Stop after so long; default: no limit.")
@click.option("--gzip", is_flag=True, help="Compress requests.")
@with_output
def drain(
    folder: Path,
    output: Output,
    write_key: str | None,
    host: str | None,
    timeout: float | None,
    gzip: bool,
) -> int:
    """Deliver, with a bar on a terminal."""
    if not write_key:
        raise click.UsageError(NEEDS_KEY)
    logging.getLogger("segment").addHandler(ErrorLines(logging.WARNING))  # why something stays
    began = time.monotonic()

    def run(progress: OnReport | None) -> DrainReport:
        return drain_spool(
            folder, write_key, host=host, timeout=timeout, gzip=gzip, progress=progress
        )

    report = _with_bar(run, output) if output.is_terminal else run(None)
    seconds = round(time.monotonic() - began, 3)
    output.record(**report._asdict(), seconds=seconds)
    parts = (f"{name}: {count:,}" for name, count in report._asdict().items())
    is_done = report.failed == report.left == report.quarantined == 0
    is_done = is_done and not _has_left_files(folder, Config(write_key, host))
    output.say(f"{', '.join(parts)}, in {seconds:.1f} s", "green" if is_done else "red")
    return 0 if is_done else 1


def _has_left_files(folder: Path, config: Config) -> bool:
    """Return whether a drain left files; those that it could not read are not in its report."""
    own = find_spool(folder, config.write_key or "", config.batch_url)
    runs = [
        run for run in survey.survey(folder, lambda _path, _error: None) if run.path.parent == own
    ]
    return any(run.files and not run.is_live for run in runs)


@spool.command("purge", help="Delete what ended processes have left, and the quarantine.")
@_FOLDER
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_output
def delete(folder: Path, yes: bool, output: Output) -> int:
    """Delete after a question; what live processes have stays."""
    problems = _Problems()
    if not (yes or _is_agreed(folder)):
        output.say("nothing was deleted")
        return 1
    deleted = purge(folder, problems)
    output.record(**deleted._asdict())
    size = in_units(deleted.bytes)
    output.say(f"deleted: files: {deleted.files:,}, messages: {deleted.messages:,}, {size}")
    return 1 if problems.count else 0


def _is_agreed(folder: Path) -> bool:
    """Ask whether to delete, if there is something."""
    dead = [run for run in survey.survey(folder, lambda _path, _error: None) if not run.is_live]
    messages, moved = sum(run.messages for run in dead), len(survey.quarantined(folder))
    if not (dead or moved):
        return True
    what = f"messages: {messages:,}, files in quarantine: {moved:,}"
    if not is_interactive():
        raise click.UsageError(f"this would delete: {what}; add --yes")
    return click.confirm(f"Delete for good: {what}?", err=True)


def _with_bar(run: Callable[[OnReport | None], DrainReport], output: Output) -> DrainReport:
    from rich.progress import BarColumn, Progress, TextColumn  # only a terminal needs it

    columns = (
        BarColumn(complete_style="green"),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} messages"),
    )
    with Progress(*columns, console=output.console, transient=True) as bar:
        task = bar.add_task("", total=None, visible=False)

        def show(report: DrainReport) -> None:
            done = report.delivered + report.failed
            bar.update(task, completed=done, total=done + report.left, visible=True)

        return run(show)


def _show_table(runs: list[survey.Run], output: Output) -> None:
    from rich.table import Table  # the same
    from rich.text import Text

    table = Table(
        "account", "process", "state", "files", "messages", "size", "age", box=None, pad_edge=False
    )
    for column in table.columns[3:]:
        column.justify = "right"
    for run in runs:
        table.add_row(*map(Text, _row_of(run)))
    output.show(table)


def _row_of(run: survey.Run) -> tuple[str, ...]:
    is_sound = not any(file.problem for file in run.files)
    state = "live" if run.is_live else "left"
    age = time.time() - min((file.written_at for file in run.files), default=time.time())
    return (
        printable(run.path.parent.name[:8]),
        str(run.process_id),
        state if is_sound else f"{state}, damaged",
        f"{len(run.files):,}",
        f"{run.messages:,}",
        in_units(run.bytes),
        in_time(age),
    )


def _record_of(run: survey.Run) -> dict[str, object]:
    return {
        "path": str(run.path),
        "process_id": run.process_id,
        "live": run.is_live,
        "files": len(run.files),
        "messages": run.messages,
        "bytes": run.bytes,
        "oldest": min((file.written_at for file in run.files), default=None),
        "problems": [file.problem for file in run.files if file.problem],
    }
