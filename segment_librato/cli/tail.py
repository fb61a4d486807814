"""tail: what a running debugger receives, as a line for each event.

Owns the following of its stream, and the columns. Must not know how a debugger keeps events.
"""

from __future__ import annotations

import http.client
import json
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from segment_librato.cli.options import with_output
from segment_librato.config.validators import is_loopback
from segment_librato.foreign.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

    from segment_librato.cli.output import Output

__all__ = ["read_events", "tail"]

DEFAULT_HOST = "http://127.0.0.1:8765"
TIMEOUT = 60.0  # seconds: a debugger that has nothing to say says so every 15
AT_ONCE = 1000
STYLES = {"accepted": "green", "rejected": "bold red", "dropped": "red", "duplicate": "yellow"}
COLUMNS = (("type", 8), ("event", 32), ("user", 24))


@click.command(help="Follow a running debugger: a line for each event that it receives.")
@click.option(
    "--host",
    default=DEFAULT_HOST,
    show_default=True,
    metavar="URL",
    help="Address of the debugger.",
)
@with_output
def tail(output: Output, host: str) -> int:
    """Show each new event until Ctrl-C, or until nobody reads it; fail when the debugger ends."""
    for event in _follow(host):
        output.record(**event)
        output.show(_line_of(event))
        if not output.has_reader:
            return 0
    raise ConnectionError(0, "the debugger has ended", host)


def _follow(host: str) -> Iterator[dict[str, Any]]:
    """Yield the outline of each new event, in the order of arrival.

    Raises:
        click.UsageError: the host is not the address of a debugger.
        ConnectionError: no debugger answers there.
    """
    try:
        yield from _read_stream(_read_address(host))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        advice = "segment-librato debugger starts one"
        raise ConnectionError(0, f"no debugger answers: {reason}; {advice}", host) from None
    except (http.client.HTTPException, ValueError, LookupError):
        reason = "what answers is not a debugger; segment-librato debugger starts one"
        raise ConnectionError(0, reason, host) from None


def _read_address(host: str) -> str:
    """Return host and port of a debugger.

    Raises:
        click.UsageError: it is not the address of one: those are on this machine.
    """
    try:
        url = urlsplit(host if "://" in host else f"http://{host}")
        is_local = url.scheme == "http" and is_loopback(url.hostname or "")
        is_address = is_local and url.port != 0 and "@" not in url.netloc
        address = url.netloc if is_address else ""
    except ValueError:
        address = ""
    if not address:
        raise click.UsageError(f"--host is not the address of a debugger, as {DEFAULT_HOST} is")
    return address


def _read_stream(address: str) -> Iterator[dict[str, Any]]:
    with closing(http.client.HTTPConnection(address, timeout=TIMEOUT)) as connection:
        connection.request("GET", "/stream")
        response = connection.getresponse()
        if response.getheader("Content-Type", "").split(";")[0] != "text/event-stream":
            raise http.client.HTTPException
        latest = None
        while line := response.readline():
            if not line.startswith(b"data: "):
                continue
            state = json.loads(line[6:])
            if latest is not None and state["latest"] > latest:
                yield from read_events(address, latest, state["latest"])
            latest = state["latest"]


def read_events(address: str, after: int, latest: int) -> Iterator[dict[str, Any]]:
    """Yield the events after one id and up to another; the newest come first in an answer."""
    pages: list[list[dict[str, Any]]] = []
    before = latest + 1
    with closing(http.client.HTTPConnection(address, timeout=TIMEOUT)) as connection:
        while before > after + 1:
            query = f"after={after}&before={before}&limit={AT_ONCE}"
            connection.request("GET", f"/events?{query}")
            page = json.loads(connection.getresponse().read())["events"]
            if not page:  # they were cleared, or gave way to newer ones
                break
            pages.append(page)
            before = page[-1]["id"]
    for page in reversed(pages):
        yield from reversed(page)


def _line_of(event: dict[str, Any]) -> Text:
    """Return time, type, event, user, verdict and gauge in columns."""
    from rich.text import Text  # completion does without

    verdict, gauge = event["verdict"], event["gauge"]
    line = Text(time.strftime("%H:%M:%S", time.localtime(event["at"])))
    for name, width in COLUMNS:
        column = Text(printable(event[name] or "-"))
        column.truncate(width, overflow="ellipsis", pad=True)
        line.append("  ").append_text(column)
    line.append(f"  {verdict:<9}", STYLES.get(verdict, ""))
    if gauge:
        line.append(f"  {gauge['name']} = {gauge['value']} from {gauge['source']}")
    elif event["reason"]:
        line.append(f"  {printable(event['reason'])}")
    return line
