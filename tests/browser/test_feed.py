"""The list that follows the server, against a server that changes while it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    Visit = Callable[..., Page]

# A server with ten rows gets many at once, and a last one while it answers its `turn`-th request.
FOLLOW = """async (turn) => {
    const { Feed } = await import("/static/feed.js");
    let latest = 10;
    let requests = 0;
    const fetchRows = async ({ before = Infinity, after = 0, offset = 0, limit }) => {
        const ids = [];
        const newest = Math.min(latest, before - 1) - offset;
        for (let id = newest; id > after && ids.length < limit; id--) ids.push({ id });
        const matching = latest;
        requests += 1;
        if (requests === turn) {
            latest += 1;
            feed.follow(latest);
        }
        return { rows: ids, matching };
    };
    const feed = new Feed(fetchRows, () => {}, (problem) => { throw problem; });
    await feed.reset();
    if (turn > 1) {
        latest += 3000;
        await feed.follow(latest);
    }
    return { total: feed.total, newest: feed.newest, latest, requests };
}"""


@pytest.mark.parametrize("turn", [1, 2])
def test_what_comes_while_the_server_answers_is_not_forgotten(visit: Visit, turn: int) -> None:
    found: dict[str, Any] = visit().evaluate(FOLLOW, turn)
    assert found["newest"] == found["total"] == found["latest"]
    assert found["requests"] == turn + 1
