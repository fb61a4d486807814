"""The options and arguments that commands share, and the words for what is wrong with them.

Owns their names, checks and help. Must not know what a command does with them.
"""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from segment_librato.cli.output import Output
from segment_librato.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "JSON_OBJECT",
    "MAX_INPUT_BYTES",
    "NEEDS_KEY",
    "NUMBER",
    "SECONDS",
    "SOME_SECONDS",
    "TEXT",
    "TIME",
    "Parsed",
    "is_interactive",
    "parse_json",
    "read_file",
    "read_text",
    "with_account",
    "with_output",
]

Command = TypeVar("Command", bound="Callable[..., Any]")

MAX_INPUT_BYTES = 16 * 1024 * 1024
NEEDS_KEY = "a write key is needed: --write-key or SEGMENT_WRITE_KEY"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MAX_SECONDS = 31_536_000.0  # a year, which every lock can wait for
NUMBER_IN_TEXT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")

if TYPE_CHECKING:
    _Type = click.ParamType[Any]
else:  # it is generic only in later versions of click
    _Type = click.ParamType


class Parsed(_Type):
    """The type of an option: what a function makes of its text, or the ValueError it raises."""

    def __init__(self, name: str, parse: Callable[[str], object]) -> None:
        self.name = name
        self._parse = parse

    def convert(
        self,
        value: Any,  # noqa: ANN401  click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> object:
        """Return the value."""
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _read_object(text: str) -> dict[str, Any]:
    if text in {"", "@"}:
        raise ValueError("expected a JSON object, @FILE, or @- for stdin")
    is_file = text.startswith("@")
    data = read_file(text[1:]) if is_file else text.encode("utf-8", "surrogateescape")
    try:
        return parse_json(data)
    except ValueError as error:
        raise ValueError(f"{text if is_file else 'it'} is {error}") from None


def _read_seconds(text: str, *, may_be_zero: bool = False) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not (0 < seconds <= MAX_SECONDS or (may_be_zero and seconds == 0)):
        least = "at least 0" if may_be_zero else "above 0"
        raise ValueError(f"expected a number of seconds, {least} and at most a year")
    return seconds


def _read_number(text: str) -> float:
    """Return a number, an int if it is written as one."""
    if not NUMBER_IN_TEXT.fullmatch(text):
        raise ValueError(f"expected a number, got {text}")
    with suppress(ValueError):
        return int(text)
    return float(text)


def read_text(text: str) -> str:
    """Return an argument in UTF-8. Raises ValueError: it is empty, or something else."""
    if not text:  # as from a variable that is not set
        raise ValueError("it is empty")
    try:
        return text.encode("utf-8", "surrogateescape").decode()  # whatever the locale is
    except UnicodeError:
        raise ValueError("it is not UTF-8") from None


def _read_time(text: str) -> str:
    from segment_librato.message.timestamp import format_timestamp  # few messages have one

    try:
        format_timestamp(text, 0.0)
    except ValidationError:
        example = "2026-11-20T10:00:00Z"
        raise ValueError(f"expected a time in ISO 8601, such as {example}") from None
    return text


JSON_OBJECT = Parsed("json|@file", _read_object)
NUMBER = Parsed("number", _read_number)
SECONDS = Parsed("seconds", partial(_read_seconds, may_be_zero=True))
SOME_SECONDS = Parsed("seconds", _read_seconds)
TEXT = Parsed("text", read_text)
TIME = Parsed("time", _read_time)


def parse_json(data: bytes) -> dict[str, Any]:
    """Return the JSON object in UTF-8, as strictly as the API may take it.

    Raises:
        ValueError: it is something else; the text is for "it is ...".
    """
    # Few messages have some.
    from segment_librato.devserver.http.body import parse_object
    from segment_librato.devserver.http.exchange import InvalidRequestError

    data = data.removeprefix(BYTE_ORDER_MARK)
    if not data.strip():
        raise ValueError("empty")
    try:
        data.decode()
        return parse_object(data)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: its byte {error.start + 1} cannot be decoded") from None
    except InvalidRequestError as error:
        raise ValueError(error.text.removeprefix("the body is ")) from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_file(path: str) -> bytes:
    """Return what a file has, or standard input for `-`.

    Raises:
        click.UsageError: it cannot be read.
    """
    try:
        with click.open_file(path, "rb") as file:
            data: bytes = file.read(MAX_INPUT_BYTES + 1)
    except OSError as error:
        raise click.UsageError(f"cannot read {path}: {error.strerror}") from None
    if len(data) > MAX_INPUT_BYTES:
        raise click.UsageError(f"{path} has more than {MAX_INPUT_BYTES >> 20} MiB")
    return data


def with_output(command: Command) -> Command:
    """Add `--json` and `--quiet`; pass an `output`."""

    @click.option("--json", "as_json", is_flag=True, help="Write JSON lines, for scripts.")
    @click.option("-q", "--quiet", is_flag=True, help="Write nothing but errors.")
    @wraps(command)
    def with_it(*args: Any, as_json: bool, quiet: bool, **kwargs: Any) -> Any:  # noqa: ANN401  of any command
        return command(*args, output=Output(as_json=as_json, quiet=quiet), **kwargs)

    return with_it  # type: ignore[return-value]  # but for the two options, it is the same


def with_account(command: Command) -> Command:
    """Add `--write-key` and `--host`."""
    key = click.option(
        "--write-key",
        envvar="SEGMENT_WRITE_KEY",
        metavar="KEY",
        help="Write key of the source; usually in SEGMENT_WRITE_KEY.",
    )
    host = click.option(
        "--host",
        envvar="SEGMENT_HOST",
        metavar="URL",
        help="Base URL of the API, or SEGMENT_HOST; default: https://api.segment.io.",
    )
    return key(host(command))


def is_interactive() -> bool:
    """Return whether somebody can answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty()
