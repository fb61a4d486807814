"""A job that does not need the network, and a command that delivers when there is one."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from support.examples import EXAMPLES, check_messages, command, run

from segment_librato.devserver import LocalSegment

if TYPE_CHECKING:
    from pathlib import Path

JOB = command("cron", "python cancel_unpaid_orders.py")
DRAIN = command("cron", "segment-librato spool drain")


def test_without_a_network_the_job_ends_at_once_and_a_later_run_delivers(
    tmp_path: Path, port: int
) -> None:
    folder = shutil.copytree(EXAMPLES / "cron", tmp_path / "cron")
    host = f"http://127.0.0.1:{port}"
    for _ in range(2):
        assert run(host, folder, *JOB) == ("Cancelled 2 unpaid orders.\n", "")
    output, _ = run(host, folder, *DRAIN[:-1], "0.5", expected_status=1)
    assert output.startswith("delivered: 0, failed: 0, left: 4, quarantined: 0")
    with LocalSegment(port) as server:
        run(host, folder, *JOB)
        assert server.requests == []  # the job itself sends nothing, even if it could
        output, errors = run(host, folder, *DRAIN)
        assert output.startswith("delivered: 6, failed: 0, left: 0, quarantined: 0"), errors
        output, _ = run(host, folder, *DRAIN)
        assert output.startswith("delivered: 0, failed: 0, left: 0, quarantined: 0")
    check_messages(server)
    assert {message["event"] for message in server.messages} == {"Order Cancelled"}
    cancelled = [(one["userId"], one["properties"]) for one in server.messages]
    assert cancelled == 3 * [
        ("grace", {"order_id": "order-2", "total": 17.0, "currency": "EUR"}),
        ("alan", {"order_id": "order-3", "total": 99.9, "currency": "EUR"}),
    ]
