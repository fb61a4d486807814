"""The options of `import`.

Owns their names, checks and help. Must not know what they do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click

from segment_librato.bulk.allowance import Allowance
from segment_librato.bulk.files.naming import FORMATS
from segment_librato.bulk.files.opening import UTF_8
from segment_librato.bulk.mapping import Columns
from segment_librato.bulk.options import MAX_CONCURRENCY
from segment_librato.bulk.rules import TYPES
from segment_librato.cli.options import SECONDS, TEXT, Parsed, read_text
from segment_librato.config.client import Config
from segment_librato.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    Decorator = Callable[[Callable[..., int]], Callable[..., int]]

__all__ = ["DELIVERY", "ROWS", "RUN", "Options", "Rows", "with_options"]


def _read_pair(text: str) -> tuple[str, str]:
    """Return a target and its column."""
    target, _, column = read_text(text).partition("=")
    if not (target and column):
        raise ValueError("expected TARGET=COLUMN, as in userId=customer")
    try:
        Columns({target: column}, None, None)
    except ConfigError:
        raise ValueError(f"{target} is not a target such as userId or properties.value") from None
    return target, column


def _read_delimiter(text: str) -> str:
    """Return a character."""
    delimiter = "\t" if text == r"\t" else read_text(text)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise ValueError("expected a character such as ; or |")
    return delimiter


DELIMITER = Parsed("char", _read_delimiter)
PAIR = Parsed("target=column", _read_pair)
MAX_REJECTS = Parsed("n|p%", Allowance.read)

ROWS = (
    click.option(
        "--format",
        type=click.Choice(FORMATS),
        metavar="FORMAT",
        help=f"One of {', '.join(FORMATS)}; default: by suffix.",
    ),
    click.option(
        "--encoding", default=UTF_8, metavar="NAME", help="Encoding of text files; default: UTF-8."
    ),
    click.option("--delimiter", type=DELIMITER, help="Delimiter of CSV; default: a comma."),
    click.option("--text", is_flag=True, help="Keep numbers and booleans of CSV as text."),
    click.option(
        "--type",
        type=click.Choice(TYPES),
        metavar="TYPE",
        help="Type of all rows; default: that of each row.",
    ),
    click.option("--event", type=TEXT, metavar="NAME", help="Name of the event, for all rows."),
    click.option("--map", type=PAIR, multiple=True, help="Put a column into a field; repeatable."),
    click.option(
        "--key",
        type=TEXT,
        multiple=True,
        metavar="COLUMN",
        help="Column that identifies a row; repeatable.",
    ),
    click.option(
        "--name",
        type=TEXT,
        default="import",
        metavar="NAME",
        help="Name of the import; ids depend on it.",
    ),
    click.option("--now", is_flag=True, help="Give rows without a timestamp the current time."),
)
DELIVERY = (
    click.option(
        "--rate",
        type=click.FloatRange(min=0, min_open=True),
        metavar="N",
        help="Send at most N events a second.",
    ),
    click.option(
        "--concurrency",
        type=click.IntRange(1, MAX_CONCURRENCY),
        metavar="N",
        default=4,
        help="Requests at once; default: 4.",
    ),
    click.option(
        "--max-retries",
        type=click.IntRange(min=0),
        metavar="N",
        default=Config.max_retries,
        help=f"Retries of a request before it stops; default: {Config.max_retries}.",
    ),
    click.option("--gzip", is_flag=True, help="Compress requests."),
)
RUN = (
    click.option(
        "--state", metavar="FILE", help="File with what is done; default: FILE.import-state."
    ),
    click.option("--restart", is_flag=True, help="Forget what is done, and send everything again."),
    click.option(
        "--rejects", metavar="FILE", help="Write rejected rows to this file, as JSON lines."
    ),
    click.option(
        "--max-rejects", type=MAX_REJECTS, help="Stop when more rows than that are rejected."
    ),
    click.option(
        "--limit", type=click.IntRange(min=1), metavar="N", help="Import the next N rows at most."
    ),
    click.option("--dry-run", is_flag=True, help="Check all rows; send nothing."),
    click.option(
        "--sample",
        type=click.IntRange(min=1),
        metavar="N",
        help="Show N messages as they would be sent, and end.",
    ),
    click.option("--yes", is_flag=True, help="Do not ask before sending."),
    click.option(
        "--progress",
        type=SECONDS,
        default=5.0,
        help="Seconds between lines of progress; default: 5.",
    ),
)


class Rows(NamedTuple):
    """The options that say what a row is, and what becomes of it."""

    format: str | None
    encoding: str
    delimiter: str | None
    text: bool
    type: str | None
    event: str | None
    map: tuple[tuple[str, str], ...]
    key: tuple[str, ...]
    name: str
    now: bool


class Options(NamedTuple):
    """The options of a run."""

    rate: float | None
    concurrency: int
    max_retries: int
    gzip: bool
    state: str | None
    restart: bool
    rejects: str | None
    max_rejects: Allowance | None
    limit: int | None
    dry_run: bool
    sample: int | None
    yes: bool
    progress: float


def with_options(*options: Decorator) -> Decorator:
    """Return a decorator that adds options, in this order."""

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate
