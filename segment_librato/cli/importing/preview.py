"""What an import is about to send: samples of its messages, how old they are, and the question.

Owns the warnings about timestamps. Must not know how a file is read.
"""

from __future__ import annotations

import time
from contextlib import closing, suppress
from datetime import datetime, timezone
from itertools import islice
from typing import TYPE_CHECKING

from segment_librato.bulk.dry_run import DryRun
from segment_librato.bulk.files.items import FileError, Gap
from segment_librato.cli.messages import show_message
from segment_librato.cli.output import write_error
from segment_librato.cli.units import in_units
from segment_librato.errors import MessageTooLargeError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segment_librato.bulk.files.items import Item
    from segment_librato.bulk.files.source import Source
    from segment_librato.bulk.rules import RowRules
    from segment_librato.cli.output import Output

__all__ = ["describe", "show_samples", "warn", "warn_of_ages"]

DAY = 86_400.0
YOUNG_DAYS = 3
OLD_DAYS = 5
FILES = 4  # at each end of the list that are looked at
ROWS = 100  # at each end of a file

NO_IDS = (
    "without a write key, rows without a messageId show another one than they will be sent with"
)
YOUNG = (
    f"the newest event is from {{}}, less than {YOUNG_DAYS} days ago: campaigns and journeys may"
    " start because of it"
)
FUTURE = (
    "the newest event is from {}, in the future: check the unit and time zone of its timestamp;"
    " campaigns and journeys may start because of it"
)
OLD = (
    f"the oldest event is from {{}}, more than {OLD_DAYS} days ago: some destinations take no"
    " events that old (Mixpanel's /track: 5 days, Meta: 7)"
)


def show_samples(
    sources: list[Source], dry: DryRun, count: int, output: Output, *, has_key: bool
) -> int:
    """Show the first messages as they would be sent; return 1 if there are none.

    Args:
        sources: the files.
        dry: what makes the messages.
        count: how many to show.
        output: where to show them.
        has_key: whether there is a write key, on which ids depend.
    """
    if not (has_key or output.quiet):
        write_error(NO_IDS)
    shown = 0
    for source in sources:
        for item in source.read([Gap()]):
            try:
                message = dry.message(item.row)
            except (ValidationError, MessageTooLargeError) as error:
                write_error(f"{source.path}, {item.number}: {error}")
                continue
            show_message(message, output)
            shown += 1
            if shown == count or not output.has_reader:
                return 0
    if not shown:
        write_error("no row can be shown")
    return 0 if shown else 1


def describe(sources: list[Source]) -> str:
    """Return what is to be sent: a file by its name, or how many there are; and the size."""
    (first, *more), size = sources, sum(source.size for source in sources)
    if first.is_stream:
        return "standard input"
    return f"{f'{len(sources):,} files' if more else first.path} ({in_units(size)})"


def warn(sources: list[Source], key: str, rules: RowRules) -> None:
    """Warn of the ages of events, as far as a short look tells."""
    with closing(DryRun(key, rules)) as dry:
        for source in [*sources[:FILES], *sources[FILES:][-FILES:]]:
            for item in _look(source):
                try:
                    dry.message(item.row)
                except (ValidationError, MessageTooLargeError):
                    continue  # it will be told of when its turn comes
        warn_of_ages(dry)


def _look(source: Source) -> Iterator[Item]:
    """Yield some rows from both ends of a file, up to one that cannot be read on."""
    if source.is_stream:
        return
    with suppress(FileError, OSError):  # it ends the import when its turn comes
        yield from islice(source.look([Gap()]), ROWS)
        if part := source.near_end():
            yield from islice(source.look(part), 1, None)


def warn_of_ages(dry: DryRun) -> None:
    """Warn of events that are so young that something may start, or so old that some get lost."""
    if dry.newest and _days_since(dry.newest) < 0:
        write_error(FUTURE.format(f"{dry.newest[:16]}Z"))
    elif dry.newest and _days_since(dry.newest) < YOUNG_DAYS:
        write_error(YOUNG.format(dry.newest[:10]))
    if dry.oldest and _days_since(dry.oldest) > OLD_DAYS:
        write_error(OLD.format(dry.oldest[:10]))


def _days_since(text: str) -> float:
    at = datetime.fromisoformat(text[:19]).replace(tzinfo=timezone.utc)
    return (time.time() - at.timestamp()) / DAY
