"""Dask, whose workers each import the rows of a partition."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import dask
import pytest
from support.pages import blocks_for

from segment_librato.config import client

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver import LocalSegment


@pytest.mark.parametrize("scheduler", ["threads", "synchronous"])
def test_the_program_of_the_page_imports_each_row_once(
    scheduler: str, server: LocalSegment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in range(4):
        lines = [json.dumps(order(part * 100 + number)) for number in range(100)]
        (tmp_path / f"orders-{part}.jsonl").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGMENT_WRITE_KEY", "test-key")
    monkeypatch.setattr(client, "DEFAULT_HOST", server.host)
    (program,) = blocks_for(__file__)
    with dask.config.set(scheduler=scheduler):
        for _ in range(2):  # again, as after a failure
            names: dict[str, Any] = {}
            exec(program.text, names)  # noqa: S102  our own page
            assert sum(report.delivered for report in names["reports"]) == 400
    assert (len(server.messages), server.duplicates) == (400, 400)


def order(number: int) -> dict[str, Any]:
    return {
        "userId": f"customer-{number % 10}",
        "event": "Order Completed",
        "timestamp": "2024-03-05T12:13:14Z",
        "properties": {"order_id": number},
    }
