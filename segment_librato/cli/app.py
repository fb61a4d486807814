"""The commands of `segment-librato`: what `--help` shows, and how each of them ends.

Exit status: 0 all went well; 1 something was not delivered, or problems were found; 2 wrong usage
or input; 130 Ctrl-C; 143 SIGTERM, if a command comes to an end as at Ctrl-C. An error is one line
on stderr, without a traceback and without a write key.

Owns the list of commands and the exit status. Must not know what a command does.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from difflib import get_close_matches
from importlib import import_module
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem, shell_complete

from segment_librato._version import VERSION
from segment_librato.cli.exit_status import INTERRUPTED, NOT_DONE, WRONG_USAGE
from segment_librato.cli.failures import is_wrong_input, say_what_is_wrong
from segment_librato.cli.output import discard, prepare_streams, write_error, write_to_stderr
from segment_librato.errors import SegmentError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["run"]

NAME = "segment-librato"
COMPLETE = "_SEGMENT_LIBRATO_COMPLETE"  # set by the shell's completion

# The module of each, and an example. The command has its own name there; `import` is `import_`. It
# is imported when it is run: `--help` and the shell's completion answer at once.
COMMANDS = {
    "track": ("messages", 'track --user-id ada --event "Signed Up"'),
    "identify": ("messages", """identify --user-id ada --traits '{"plan": "pro"}'"""),
    "group": ("messages", "group --user-id ada --group-id acme --traits @acme.json"),
    "alias": ("messages", "alias --previous-id anon-7 --user-id ada"),
    "page": ("messages", "page --user-id ada --name Pricing"),
    "screen": ("messages", "screen --user-id ada --name Settings"),
    "gauge": ("messages", "gauge queue.depth 42 --source web-1"),
    "explain": ("explain", "explain events.jsonl"),
    "check": ("check", "check events.jsonl --plan plan.json"),
    "import": ("importing.command", "import events.jsonl.gz"),
    "doctor": ("doctor", "doctor --send"),
    "spool": ("spool", "spool ls /var/lib/shop/segment"),
    "debugger": ("debugger", "debugger --open"),
    "tail": ("tail", "tail --host http://127.0.0.1:8765"),
}


class _Group(click.Group):
    """The commands, with an example of each."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        """Return a command; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"segment_librato.cli.{COMMANDS[cmd_name][0]}")
        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(module, name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command. Raises click.UsageError: there is none; it names a similar one."""
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            similar = get_close_matches(args[0], COMMANDS, 1)
            hint = f"did you mean {similar[0]}?" if similar else f"see {NAME} --help"
            raise click.UsageError(f"there is no command {args[0]}; {hint}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command, without importing any."""
        names = [name for name in COMMANDS if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name) for name in names), *options]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  the same
        """Write the help; it fits on a terminal of 24 lines."""
        examples = "".join(f"  {NAME} {example}\n" for _, example in COMMANDS.values())
        formatter.write(HELP.format(name=NAME, examples=examples))


HELP = """\
Usage: {name} COMMAND [OPTIONS] [ARGUMENTS]

Send events to Segment, and see what becomes of them. The write key comes from
SEGMENT_WRITE_KEY; for another API than Segment's, set SEGMENT_HOST to its URL.

{examples}
{name} COMMAND --help lists its options; --version prints the version.
"""


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(VERSION, prog_name=NAME, message="%(prog)s %(version)s")
def app() -> None:
    """Hold the commands."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status."""
    prepare_streams()
    logging.getLogger("segment").addHandler(logging.NullHandler())  # commands say what happens
    status = 0
    try:
        status = _invoke([*(sys.argv[1:] if arguments is None else arguments)])
        sys.stdout.flush()
    except BrokenPipeError:  # a reader such as `head` has what it wants
        discard(sys.stdout)
    except click.exceptions.NoArgsIsHelpError as error:
        write_to_stderr(error.format_message())
        status = WRONG_USAGE
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  each in one line
        status, text = _explain(error)
        if status == INTERRUPTED and sys.stderr.isatty():
            write_to_stderr("")  # the terminal has shown ^C
        write_error(text)
        _flush_what_is_written()
    return status


def _invoke(arguments: list[str]) -> int:
    """Run a command, or complete its line for the shell; return the exit status."""
    if instruction := os.environ.get(COMPLETE):
        return shell_complete(app, {}, NAME, COMPLETE, instruction)
    try:
        with app.make_context(NAME, arguments) as context:
            status: Any = app.invoke(context)
    except click.exceptions.Exit as end:  # of --help or --version
        return end.exit_code
    return status if isinstance(status, int) else 0


def _flush_what_is_written() -> None:
    """See to it that the exit of the interpreter does not fail, too, with a status of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        discard(sys.stdout)


def _explain(error: BaseException) -> tuple[int, str]:
    """Return the exit status for an exception, and what to say of it."""
    if isinstance(error, click.ClickException):
        return error.exit_code, error.format_message()
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        return INTERRUPTED, "interrupted"
    if isinstance(error, SegmentError):
        return WRONG_USAGE if is_wrong_input(error) else NOT_DONE, say_what_is_wrong(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return NOT_DONE, f"{where}{error.strerror or type(error).__name__}"
    *_, frame = traceback.extract_tb(error.__traceback__)
    what = f"{type(error).__name__} in {frame.filename}, line {frame.lineno}"
    return NOT_DONE, f"this should not happen, please report it: {what}"
