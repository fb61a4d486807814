"""The command `import`: look, ask, deliver, and say what became of each row.

Owns the order of these. Must not know how a file is read, or a row delivered.
"""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from segment_librato.bulk.dry_run import DryRun
from segment_librato.bulk.file_import import FileImport
from segment_librato.bulk.importer import Importer
from segment_librato.bulk.rejects import RejectsFile
from segment_librato.bulk.report import ImportReport
from segment_librato.bulk.state_file import check_state, delete_state
from segment_librato.cli.exit_status import NOT_DONE
from segment_librato.cli.importing.options import (
    DELIVERY,
    ROWS,
    RUN,
    Options,
    Rows,
    with_options,
)
from segment_librato.cli.importing.preview import describe, show_samples, warn, warn_of_ages
from segment_librato.cli.importing.progress import Progress
from segment_librato.cli.importing.running import Run, Terminated
from segment_librato.cli.importing.setup import open_sources, open_state, telling_usage
from segment_librato.cli.importing.states import (
    check_rejects,
    check_written,
    find_state,
    identify,
)
from segment_librato.cli.importing.summary import Summary
from segment_librato.cli.messages import NEEDS_KEY_OR_DRY_RUN, NO_KEY
from segment_librato.cli.options import is_interactive, with_account, with_output
from segment_librato.cli.output import ErrorLines, write_error
from segment_librato.config.client import Config

if TYPE_CHECKING:
    from segment_librato.bulk.files.source import Source
    from segment_librato.bulk.rules import RowRules
    from segment_librato.bulk.state import State
    from segment_librato.cli.output import Output

__all__ = ["import_"]

NO_RESUME = "standard input cannot be resumed: if this run ends early, send all of it again"


@click.command(
    help="Import the rows of FILE: JSON lines, CSV, TSV or Parquet, also .gz or .zst; a pattern, a"
    " URL, or - for stdin. Run the same command again to resume."
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@with_options(*ROWS, with_account, *DELIVERY, *RUN)
@with_output
def import_(
    output: Output,
    files: tuple[str, ...],
    write_key: str | None,
    host: str | None,
    **given: Any,  # noqa: ANN401  of any type that an option has
) -> int:
    """Import the files, or show what would be imported; return 1 if something is rejected."""
    rows = Rows(**{name: given.pop(name) for name in Rows._fields})
    options = Options(**given)
    if not (write_key or options.dry_run or options.sample):
        raise click.UsageError(NEEDS_KEY_OR_DRY_RUN)
    written = [path for path in (options.rejects, options.state) if path]
    sources, rules = open_sources(files, rows, written)
    is_dry = bool(options.dry_run or options.sample)
    path = None if is_dry else find_state(sources, options.state, restart=options.restart)
    check_written(sources, path, options.rejects)
    if options.restart or not path:
        check_rejects(options.rejects, None, sources)
    with telling_usage(), ExitStack() as stack:
        if is_dry:
            dry = stack.enter_context(closing(DryRun(write_key or NO_KEY, rules)))
            if options.sample:
                return show_samples(sources, dry, options.sample, output, has_key=bool(write_key))
            status = _Import(stack, sources, options, output).check(dry)
            if not output.quiet:
                warn_of_ages(dry)
            return status
        config = Config(write_key, host)
        is_confirmed = False
        if path and options.restart:
            check_state(path)
            if not _Import(stack, sources, options, output).is_confirmed(config, rules):
                return NOT_DONE
            delete_state(path)  # only now: who says no has lost nothing
            is_confirmed = True
        state = stack.enter_context(open_state(path, config, rows)) if path else None
        check_rejects(options.rejects, state, sources)
        work = _Import(stack, sources, options, output, state)
        return work.send(config, rules, is_confirmed=is_confirmed)


class _Import:
    """An import, of which something may be settled already."""

    def __init__(
        self,
        stack: ExitStack,
        sources: list[Source],
        options: Options,
        output: Output,
        state: State | None = None,
    ) -> None:
        self._stack = stack
        files = state.add_files([*map(identify, sources)]) if state else [0] * len(sources)
        # A row that is equal to others gets the same id if those are read in the same order.
        in_order = sorted(range(len(files)), key=files.__getitem__)
        self._sources = [sources[at] for at in in_order]
        self._files = sorted(files)
        self._options = options
        self._output = output
        self._state = state

    def check(self, dry: DryRun) -> int:
        """Check all rows, and send none."""
        return self._finish(dry, is_dry=True)

    def is_confirmed(self, config: Config, rules: RowRules) -> bool:
        """Say what is about to happen, and return whether it shall; ask if somebody is there."""
        options, output = self._options, self._output
        what = f"{describe(self._sources)} to {urlsplit(config.batch_url).netloc}"
        self._announce(what)
        asks = is_interactive() and not options.yes
        if asks or not output.quiet:  # the answer may depend on it
            warn(self._sources, config.write_key or "", rules)
        if not asks:
            return True
        question = "Send?" if output.is_text else f"Send {what}?"
        if click.confirm(question, err=True):
            return True
        output.say("nothing was sent")
        return False

    def send(self, config: Config, rules: RowRules, *, is_confirmed: bool = False) -> int:
        """Deliver what is not settled, if that is confirmed; say so if there is nothing."""
        options, state = self._options, self._state
        if state and all(map(state.is_done, self._files)):
            return self._tell_nothing_is_left(state)
        if not (is_confirmed or self.is_confirmed(config, rules)):
            return NOT_DONE
        if not self._output.quiet:  # why it takes long
            logging.getLogger("segment").addHandler(ErrorLines(logging.WARNING))
        importer = self._stack.enter_context(
            Importer(
                config.write_key or "",
                rules=rules,
                host=config.host,
                rate=options.rate,
                concurrency=options.concurrency,
                gzip=options.gzip,
                max_retries=options.max_retries,
                allowance=options.max_rejects,
            )
        )
        return self._finish(importer, is_dry=False)

    def _tell_nothing_is_left(self, state: State) -> int:
        rejected = sum(state.reasons.values())
        skipped = self._count_settled(state)
        self._output.say("nothing to send: every row was already imported")
        report = ImportReport(skipped, skipped=skipped)
        Summary(report, rejected, 0.0, state.path, None, is_dry=False).show(self._output)
        return NOT_DONE if rejected else 0

    def _count_settled(self, state: State) -> int:
        """Return how many rows of these files earlier runs have settled."""
        return sum(one.rows for file in self._files for one in state.ranges(file))

    def _announce(self, what: str) -> None:
        """Say what is about to happen."""
        state, output, limit = self._state, self._output, self._options.limit
        if state and (settled := self._count_settled(state)):
            more = f", at most {limit:,} more now" if limit else ""
            output.say(f"resuming {what}: {settled:,} rows already done{more}")
            if state.counts_rows:
                output.say("re-reading them first: ids of equal rows depend on their order")
        else:
            rows = "row" if limit == 1 else "rows"
            part = f"at most {limit:,} {rows} of " if limit else ""
            output.say(f"about to send {part}{what}")
        if any(source.is_stream for source in self._sources):
            output.say(NO_RESUME)

    def _finish(self, importer: Importer | DryRun, *, is_dry: bool) -> int:
        """Settle the rows, say what became of them, and return the exit status."""
        options, output, state = self._options, self._output, self._state
        rejects = self._open_rejects()
        work = FileImport(self._sources, self._files, importer, state, rejects, options.limit)
        for source, file in zip(self._sources, self._files, strict=True):
            if state and state.is_done(file) and not state.counts_rows:
                source.mark_done()
        total = sum(source.size for source in self._sources)
        before = work.total().rejected
        pause, limit = options.progress, options.limit
        progress = Progress(work, output, total, pause, limit, is_dry=is_dry)
        run = Run(work, importer, output, options.max_rejects, progress)
        run.go()
        report = work.report()
        path = state.path if state else None
        ends = Summary(report, before, run.seconds, path, options.rejects, is_dry, run.stopped)
        ends.show(output)
        if run.is_interrupted or run.is_terminated:
            if state:
                output.say(run.advice)
            raise KeyboardInterrupt if run.is_interrupted else Terminated("terminated")
        if run.error:
            raise run.error
        if run.problem:
            advice = f"; {run.advice}" if state else ""
            raise click.ClickException(f"stopped: {run.problem}{advice}")
        if not (output.quiet or options.limit or report.skipped):  # all rows were seen
            self._warn_of_columns(importer.unseen_columns)
        return NOT_DONE if report.rejected + before else 0

    def _warn_of_columns(self, unseen: list[str]) -> None:
        """Warn of mapped columns that no row has; a table was refused without them."""
        if unseen and all(source.kind.format == "jsonl" for source in self._sources):
            write_error(f"no row has the column {', '.join(unseen)}, which --map names")

    def _open_rejects(self) -> RejectsFile | None:
        path, state = self._options.rejects, self._state
        if path is None:
            return None
        kept = state.keep_rejects(os.path.abspath(path)) if state else 0  # noqa: PTH100  text
        return self._stack.enter_context(RejectsFile(path, kept))
