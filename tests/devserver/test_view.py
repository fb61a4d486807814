"""What the command line shows of a request, line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.local_server import batch, post, track

from segment_librato.devserver import LocalSegment
from segment_librato.devserver.view import describe_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segment_librato.devserver.http.exchange import Request
    from segment_librato.devserver.interfaces import Accepted

Requests = list[tuple["Request", "Accepted"]]


@pytest.fixture
def seen() -> Requests:
    return []


@pytest.fixture
def server(seen: Requests) -> Iterator[LocalSegment]:
    with LocalSegment(on_request=lambda *both: seen.append(both)) as local:
        yield local


@pytest.fixture
def show(server: LocalSegment, seen: Requests) -> Callable[..., list[str]]:
    """Post messages and return what is shown of each, without the indent."""

    def post_and_show(*messages: dict[str, Any], verbose: bool = False) -> list[str]:
        post(server, batch(*messages))
        _, *rows = describe_request(*seen[-1], verbose=verbose)
        assert all(row.startswith(" " * 10) and row == row.rstrip() for row in rows)
        return [row[10:] for row in rows]

    return post_and_show


def test_columns_are_aligned(show: Callable[..., list[str]]) -> None:
    rows = show(
        track(event="A", userId="u-1", properties={"value": 2}),
        {"type": "group", "anonymousId": "anonymous", "groupId": "G"},
        {"type": "page", "userId": "u-1", "name": "Home", "context": {"source": "web-1"}},
    )
    assert rows == [
        "track  A     u-1        A = 2  from A",
        "group  G     anonymous  no gauge",
        "page   Home  u-1        Viewed-Home-Page = 1  from web-1",
    ]


def test_escape_sequences_are_shown_and_not_obeyed(show: Callable[..., list[str]]) -> None:
    evil = track(event="\x1b]0;title\x07", userId="u\r\n\u202e", properties={"x": "\x1b[2J\x9b"})
    rows = show(evil, verbose=True)
    assert rows[0] == (r"track  \x1b]0;title\x07  u\r\n\u202e  --0-title- = 1  from --0-title-")
    assert all(row.isprintable() for row in rows)
    assert r'      "x": "\u001b[2J\x9b"' in rows


def test_long_names_are_cut(show: Callable[..., list[str]]) -> None:
    (row,) = show(track(event="e" * 200, userId="u" * 200))
    assert row.startswith(f"track  {'e' * 29}...  {'u' * 21}...  {'e' * 200} = 1")


def test_of_a_long_batch_ten_messages_are_shown(show: Callable[..., list[str]]) -> None:
    rows = show(*[track(event="A", userId=f"u{number}") for number in range(2_500)])
    assert [row.split()[2] for row in rows[:-1]] == [f"u{number}" for number in range(10)]
    assert rows[-1] == "... and 2,490 more"


def test_of_ten_messages_nothing_is_left_out(show: Callable[..., list[str]]) -> None:
    assert len(show(*[track()] * 10)) == 10


def test_verbose_shows_a_long_batch_to_its_end(show: Callable[..., list[str]]) -> None:
    rows = show(*[track(event="A", userId=f"u{number:03}") for number in range(500)], verbose=True)
    assert [row for row in rows if row.startswith("track")][-1].split()[2] == "u499"
    assert not [row for row in rows if "more" in row]


def test_what_a_fault_keeps_out_is_not_accepted(
    server: LocalSegment, seen: Requests, show: Callable[..., list[str]]
) -> None:
    server.respond(503)
    assert show(track()) == ["track  Signed Up  user  not accepted"]
    server.respond(200, accept=False)
    assert show(track("a")) == ["track  Signed Up  user  not kept: a duplicate, or dropped"]


def test_a_lost_connection_is_shown_as_such(server: LocalSegment, seen: Requests) -> None:
    server.respond(None)
    with pytest.raises(ConnectionError):
        post(server, batch(track()))
    outline, row = describe_request(*seen[-1], verbose=False)
    assert outline.endswith("  connection closed")
    assert row.endswith("  not accepted")
