"""`sample_rate`: of some events, a part of the users; the same part everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from segment_librato import Client, Stats

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.errors import Errors

    from segment_librato.devserver import LocalSegment

    MakeClient = Callable[..., Client]

NUMBERS = "14 15 16 21 28 49 50 52 55 57 7 73 75 80 81 9 91 92 97"
IN_A_TENTH = [f"user-{number}" for number in NUMBERS.split()]
USERS = [f"user-{number}" for number in range(2_000)]


def users_of(server: LocalSegment, event: str) -> set[str]:
    found = [one["userId"] for one in server.messages if one.get("event") == event]
    return {user for user in found if isinstance(user, str)}


@pytest.mark.parametrize("rate", [0, 0.1, 0.5, 0.9, 1])
def test_a_share_of_the_users_is_in(
    server: LocalSegment, make_client: MakeClient, errors: Errors, rate: float
) -> None:
    client = make_client(sample_rate={"Page Scrolled": rate})
    for user in USERS:
        assert client.track(user, "Page Scrolled")[0]
        assert client.track(user, "Order Completed")[0]
    assert client.flush(10)
    sampled = users_of(server, "Page Scrolled")
    assert len(sampled) == pytest.approx(rate * len(USERS), abs=80 if 0 < rate < 1 else 0)
    assert users_of(server, "Order Completed") == {*USERS}
    stats = client.stats
    assert stats.dropped == len(USERS) - len(sampled)
    assert stats.accepted == stats.delivered == len(USERS) + len(sampled)
    assert errors.calls == []


def test_a_user_is_in_for_all_events_of_that_share_and_of_larger_ones(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(sample_rate={"a": 0.1, "b": 0.1, "c": 0.5})
    for user in USERS:
        for event in ("a", "b", "c"):
            client.track(user, event)
            client.track(user, event)
    assert client.flush(10)
    assert users_of(server, "a") == users_of(server, "b") < users_of(server, "c")
    assert len(server.messages) == 2 * sum(len(users_of(server, event)) for event in "abc")


def test_who_is_in_is_the_same_in_each_process_and_version(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(sample_rate={"event": 0.1})
    for number in range(100):
        client.track(f"user-{number}", "event")
    assert client.flush(10)
    # The first eight bytes of SHA-256 as a number, below a tenth of 2 ** 64.
    assert sorted(users_of(server, "event")) == IN_A_TENTH


def test_without_a_user_id_the_anonymous_id_decides(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(sample_rate={"event": 0.5})
    for user in USERS[:100]:
        client.track(user, "event", anonymous_id="another")
        client.track(None, "event", anonymous_id=user)
    assert client.flush(10)
    anonymous = {one["anonymousId"] for one in server.messages if not one["userId"]}
    assert users_of(server, "event") == anonymous


def test_odd_ids_are_users_as_well(make_client: MakeClient) -> None:
    client = make_client(sample_rate={"event": 1})
    for user in ("\ud800", "ü", 7):
        assert client.track(user, "event")[0]
    assert client.stats.accepted == 3


def test_other_calls_are_all_sent(server: LocalSegment, make_client: MakeClient) -> None:
    client = make_client(sample_rate={"event": 0, "": 0, "depth": 0})
    client.identify("u", {"event": "event"})
    client.page("u", "event", "event")
    client.screen("u", "event", "event")
    client.group("u", "g", {"event": "event"})
    client.alias("old", "u")
    assert client.flush(10)
    assert len(server.messages) == 5
    client.gauge("depth", 1)  # it is an event of that name
    assert client.stats.dropped == 1


def test_what_is_left_out_is_not_shown_to_before_send(make_client: MakeClient) -> None:
    def before_send(message: object) -> None:
        raise AssertionError

    client = make_client(sample_rate={"event": 0}, before_send=before_send)
    assert client.track("u", "event", {"text": object()})[0]
    assert client.stats == Stats(dropped=1)
