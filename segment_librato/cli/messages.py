"""track, identify, group, alias, page, screen and gauge: one message, and what became of it.

Each option has the name of an argument of the client's method, which checks its value. Owns the
delivery of one message, and what is said of it. Must not know how a message is built.
"""

from __future__ import annotations

import json
import logging
import re
import time
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import click

from segment_librato.cli.failures import say_what_is_wrong
from segment_librato.cli.options import (
    JSON_OBJECT,
    NEEDS_KEY,
    NUMBER,
    SOME_SECONDS,
    TEXT,
    TIME,
    with_account,
    with_output,
)
from segment_librato.cli.output import Warnings, write_error
from segment_librato.client import Client
from segment_librato.librato import explain, map_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.cli.output import Output
    from segment_librato.errors import SegmentError
    from segment_librato.message.fields import Message

    _Decorator = Callable[[Callable[..., int]], Callable[..., int]]

__all__ = [
    "NEEDS_KEY_OR_DRY_RUN",
    "NO_KEY",
    "alias",
    "gauge",
    "group",
    "identify",
    "page",
    "screen",
    "show_message",
    "track",
]

NEEDS_USER = "a user is needed: --user-id or --anonymous-id"
NEEDS_KEY_OR_DRY_RUN = f"{NEEDS_KEY}; --dry-run does without"
NO_KEY = "dry-run"  # nothing is sent with it
NEGATIVE_NUMBER = re.compile(r"-(\.?[0-9]|inf|nan)")
MAX_REQUEST_SECONDS = 15.0  # then another try, if there is time


class _Delivery:
    """A message on its way, or only shown."""

    def __init__(
        self,
        output: Output,
        write_key: str | None,
        host: str | None,
        timeout: float,
        *,
        dry_run: bool,
    ) -> None:
        if not (write_key or dry_run):
            raise click.UsageError(NEEDS_KEY_OR_DRY_RUN)
        if not output.quiet:
            logging.getLogger("segment").addHandler(Warnings(write_error))
        self._output = output
        self._is_dry = dry_run
        self._failures: list[SegmentError] = []
        self._client = Client(
            write_key or NO_KEY,
            host,
            on_error=lambda error, _: self._failures.append(error),
            send=not dry_run,
            sync_mode=True,
            sync_timeout=timeout,
            timeout=min(timeout, MAX_REQUEST_SECONDS),
        )

    def run(self, call: str, fields: dict[str, Any]) -> int:
        """Make a call of the client, say what became of its message, and return the exit status."""
        began = time.monotonic()
        _, message = getattr(self._client, call)(**fields)
        took = time.monotonic() - began
        self._client.shutdown()
        if self._is_dry:
            show_message(message, self._output)
        elif self._failures:
            self._tell_failure(message, self._failures[0])
        else:
            self._tell_delivery(message, took)
        return 0

    def _tell_delivery(self, message: Message, took: float) -> None:
        output, host = self._output, urlsplit(self._client.config.batch_url).netloc
        seconds, gauge = round(took, 3), _gauge_of(message)
        output.record(outcome="delivered", seconds=seconds, gauge=gauge, **_outline(message))
        text = f"delivered to {host} in {took * 1000:.0f} ms, messageId {message['messageId']}"
        output.say(text, "green")
        output.say(explain(message), "dim")

    def _tell_failure(self, message: Message, error: SegmentError) -> NoReturn:
        text = say_what_is_wrong(error)
        problem = {"code": error.code, "status": error.status, "message": text}
        self._output.record(outcome="not delivered", error=problem, **_outline(message))
        raise click.ClickException(f"not delivered: {text}")


def show_message(message: Message, output: Output) -> None:
    """Show a message as it would be sent, and its gauge."""
    output.record(outcome="dry run", message=message, gauge=_gauge_of(message))
    if not output.as_json:
        output.data(json.dumps(message, indent=2, ensure_ascii=False))
        output.say(explain(message), "dim")


def _outline(message: Message) -> dict[str, Any]:
    return {"type": message["type"], "messageId": message["messageId"]}


def _gauge_of(message: Message) -> dict[str, Any] | None:
    measurement = map_message(message)
    return measurement and measurement._asdict()


_DRY_RUN = click.option("--dry-run", is_flag=True, help="Show the message; send nothing.")
_TIMEOUT = click.option(
    "--timeout",
    type=SOME_SECONDS,
    default=10.0,
    show_default=True,
    help="How long to wait for delivery.",
)

_USER = click.option("--user-id", type=TEXT, metavar="ID", help="ID of the user.")
_ANONYMOUS = click.option(
    "--anonymous-id", type=TEXT, metavar="ID", help="ID of a visitor who is not known yet."
)
_CATEGORY = click.option("--category", type=TEXT, help="Its category.")
_NAME = click.option("--name", type=TEXT, help="Its name, such as Pricing.")
_PROPERTIES = click.option("--properties", type=JSON_OBJECT, help="Details of the event.")
_TIMESTAMP = click.option(
    "--timestamp", type=TIME, help="When it happened, in ISO 8601; UTC; default: now."
)

_WHO = (_USER, _ANONYMOUS)
_COMMON = (
    click.option(
        "--context", type=JSON_OBJECT, help="Where it happened: ip, page, Librato.source ..."
    ),
    click.option("--integrations", type=JSON_OBJECT, help="Which destinations get it."),
    _TIMESTAMP,
    click.option(
        "--message-id", type=TEXT, metavar="ID", help="Segment drops a second one with the same id."
    ),
)


def _traits_of(whom: str) -> _Decorator:
    return click.option("--traits", type=JSON_OBJECT, help=f"What you know about the {whom}.")


class _GaugeCommand(click.Command):
    """A command that does not take `-5` for an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options and arguments. Raises click.UsageError: one is wrong."""
        ctx.ignore_unknown_options = any(NEGATIVE_NUMBER.match(each) for each in args)
        return super().parse_args(ctx, args)


def _message_command(
    call: str, text: str, *options: _Decorator, cls: type[click.Command] = click.Command
) -> click.Command:
    """Make a command that makes this call of the client with what its options have."""

    @_DRY_RUN
    @with_account
    @_TIMEOUT
    @with_output
    def send(
        output: Output,
        write_key: str | None,
        host: str | None,
        timeout: float,
        dry_run: bool,
        **fields: Any,  # noqa: ANN401  of any type that an option has
    ) -> int:
        if {"user_id", "anonymous_id"} <= fields.keys() and not (
            fields["user_id"] or fields["anonymous_id"]
        ):
            raise click.UsageError(NEEDS_USER)
        delivery = _Delivery(output, write_key, host, timeout, dry_run=dry_run)
        return delivery.run(call, fields)

    for option in reversed(options):
        send = option(send)
    return click.command(call, cls=cls, help=text)(send)


track: click.Command = _message_command(
    "track",
    "Record that something happened, and wait until it is delivered.",
    click.option(
        "--event", type=TEXT, metavar="NAME", required=True, help='What happened: "Signed Up".'
    ),
    *_WHO,
    _PROPERTIES,
    *_COMMON,
)
identify: click.Command = _message_command(
    "identify", "Record what you know about a user.", *_WHO, _traits_of("user"), *_COMMON
)
group: click.Command = _message_command(
    "group",
    "Record that a user belongs to a group, and what you know about the group.",
    click.option("--group-id", type=TEXT, metavar="ID", required=True, help="ID of the group."),
    *_WHO,
    _traits_of("group"),
    *_COMMON,
)
alias: click.Command = _message_command(
    "alias",
    "Record that two ids are the same user.",
    click.option("--previous-id", type=TEXT, metavar="ID", required=True, help="The old id."),
    click.option("--user-id", type=TEXT, metavar="ID", required=True, help="The new id."),
    *_COMMON,
)
_OF_VIEWS = (_NAME, _CATEGORY, *_WHO, _PROPERTIES, *_COMMON)
page: click.Command = _message_command(
    "page", "Record that a user saw a page of a website.", *_OF_VIEWS
)
screen: click.Command = _message_command(
    "screen", "Record that a user saw a screen of an app.", *_OF_VIEWS
)
gauge: click.Command = _message_command(
    "gauge",
    "Put a number on a graph: the event NAME with the property `value`.",
    click.argument("name", type=TEXT),
    click.argument("value", type=NUMBER),
    click.option("--source", type=TEXT, help="What it was measured on; default: the name."),
    _USER,
    _TIMESTAMP,
    cls=_GaugeCommand,
)
