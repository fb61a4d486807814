"""A worker whose children are stopped while the events of their tasks wait."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest
from support.examples import EXAMPLES, check_messages, command, run, running

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

USERS = {"order-1": "ada", "order-2": "grace", "order-3": "alan"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copy the example, as its broker is a folder beside it."""
    unwanted = shutil.ignore_patterns("broker", "__pycache__")
    return shutil.copytree(EXAMPLES / "celery", tmp_path / "celery", ignore=unwanted)


def test_tasks_know_the_scope_they_were_sent_in_and_their_events_arrive_once(
    server: LocalSegment, folder: Path
) -> None:
    assert run(server.host, folder, *command("celery", "python place_orders.py")) == (
        "Placed 3 orders.\n",
        "",
    )
    assert [one["event"] for one in server.messages] == ["Checkout Started"] * len(USERS)
    words = command("celery", "celery")
    with server.hold(), running(server, folder, *words) as worker:
        assert worker.stderr
        log = iter(worker.stderr.readline, "")
        ended = (line for line in log if re.search(r"complete_order.* (succeeded|raised)", line))
        for _ in USERS:
            assert "succeeded" in next(ended)
        assert len(server.messages) == len(USERS)
        worker.terminate()
        server.release()
        output, errors = worker.communicate(timeout=240)
        assert worker.returncode == 0, output + errors
    assert server.wait_for(3 * len(USERS))  # Celery itself may end before a child of it
    for event in ("Checkout Started", "Order Completed"):
        messages = [one for one in server.messages if one.get("event") == event]
        assert {one["properties"]["order_id"]: one["userId"] for one in messages} == USERS
        assert len(messages) == len(USERS)
        assert {one["context"]["locale"] for one in messages} == {"en-GB"}
    durations = [one for one in server.measurements if one.name == "payment.duration"]
    assert [one.source for one in durations] == ["worker"] * len(USERS)
    check_messages(server)
