"""What a failure means to somebody at a command line: what happened, and what to do about it.

Owns the words, with the names of options instead of those of arguments. Must not know which
command failed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from segment_librato.errors import ConfigError, MessageTooLargeError, NetworkError, ValidationError

if TYPE_CHECKING:
    from segment_librato.errors import SegmentError

__all__ = ["advise", "describe", "is_wrong_input", "say_what_is_wrong", "translate"]

HOST, KEY = "--host or SEGMENT_HOST", "--write-key or SEGMENT_WRITE_KEY"
OPTIONS = {"host": HOST, "write_key": KEY, "sync_timeout": "--timeout"}
ARGUMENTS = re.compile(r"[a-z]+(_[a-z]+)+( or [a-z]+(_[a-z]+)+)*")

# What the library says of a request, and what says the same at a command line.
WORDS = (
    ("`proxies`, ", ""),
    ("`host`, `endpoint` or `oauth_auth_server`", HOST),
    ("`host`", "--host"),
    ("`write_key`", "the write key"),
    (r"(Read|Connect)Timeout: \w+", "no answer in time"),
    ("ConnectionError: ", ""),
    ("ProxyError: ", "the proxy: "),
    (r" \(_ssl\.c:[0-9]+\)", ""),
)

TOO_MANY_REQUESTS = 429
SERVER_FAILED = 500


def is_wrong_input(error: SegmentError) -> bool:
    """Return whether an error is about what was given, before anything is sent."""
    return isinstance(error, (ConfigError, ValidationError, MessageTooLargeError))


def say_what_is_wrong(error: SegmentError) -> str:
    """Return what happened and what to do about it, in one line."""
    what, advice = describe(error), advise(error)
    return f"{what}; {advice}" if advice else what


def describe(error: SegmentError) -> str:
    """Return what happened; of a server's answer, what it says itself, too."""
    if is_wrong_input(error):
        return _with_options(translate(error.message))
    text = _parts(error)[0]
    is_said = error.message in {"", str(error)} or error.status is None
    return text if is_said else f"{text}: {error.message}"


def advise(error: SegmentError) -> str:
    """Return what to do about a failure; empty if there is nothing better than what it says."""
    if isinstance(error, NetworkError):
        return "to find out why, run segment-librato doctor"
    if advice := _parts(error)[1]:
        return advice
    if error.status == TOO_MANY_REQUESTS and error.retry_after:
        return f"try again in {error.retry_after:.0f} s"
    if error.status and (error.status >= SERVER_FAILED or error.status == TOO_MANY_REQUESTS):
        return "try again later"
    return ""


def translate(text: str) -> str:
    """Return what the library says, in the words of the command line."""
    for pattern, words in WORDS:
        text = re.sub(pattern, words, text)
    return text


def _parts(error: SegmentError) -> tuple[str, str]:
    """Split a text of the library: what happened, and its advice, which may be empty."""
    text = translate(str(error))
    if error.status is None:
        return text, ""
    what, _, advice = text.partition("; ")
    return what, advice


def _with_options(text: str) -> str:
    """Return a text with the names of options, if it begins with those of arguments.

    What else may be before a colon, such as the path of a file, stays as it is.
    """
    names, colon, rest = text.partition(": ")
    if names in OPTIONS:
        names = OPTIONS[names]
    elif ARGUMENTS.fullmatch(names):
        names = " or ".join(f"--{name.replace('_', '-')}" for name in names.split(" or "))
    return f"{names}{colon}{rest}"
