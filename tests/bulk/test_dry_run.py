"""What stands for an importer when nothing is to be sent."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from segment_librato.bulk.dry_run import AT_ONCE, DryRun
from segment_librato.bulk.outcomes import DELIVERED, REJECTED
from segment_librato.bulk.rules import RowRules

ROW = {"userId": "u", "event": "E", "timestamp": "2026-03-01T12:00:00Z"}


def test_rows_that_were_counted_count() -> None:
    ids = []
    with closing(DryRun("key", RowRules())) as dry:
        ids += [dry.message(ROW)["messageId"] for _ in range(2)]
    with closing(DryRun("key", RowRules())) as dry:
        dry.count(ROW)
        assert dry.message(ROW)["messageId"] == ids[1] != ids[0]


def test_the_ages_of_messages_are_known() -> None:
    with closing(DryRun("key", RowRules())) as dry:
        assert (dry.oldest, dry.newest) == (None, None)
        for day in (3, 1, 2):
            dry.message({**ROW, "timestamp": f"2026-03-0{day}"})
        assert dry.oldest == "2026-03-01T00:00:00.000+00:00"
        assert dry.newest == "2026-03-03T00:00:00.000+00:00"


def test_it_reads_no_further_than_it_is_told() -> None:
    read = []

    def rows() -> Any:
        for n in range(10 * AT_ONCE):
            read.append(n)
            yield ROW if n % 2 else {}

    with closing(DryRun("key", RowRules())) as dry:
        for settled in dry.settle(rows()):
            kinds = {one.number: one.outcome for one in settled.outcomes}
            assert kinds == {
                n: DELIVERED if n % 2 == 0 else REJECTED for n in range(1, AT_ONCE + 1)
            }
            dry.stop()
    assert len(read) == AT_ONCE


def test_few_rows_are_held_if_they_are_large_and_rejected() -> None:
    large = {"properties": {"values": [0.5] * 20_000}}
    with closing(DryRun("key", RowRules())) as dry:
        settled = [one.outcomes for one in dry.settle([large, ROW, large, ROW])]
    assert [[one.number for one in outcomes] for outcomes in settled] == [[1], [2, 3], [4]]
    assert [one.row for outcomes in settled for one in outcomes] == [large, None, large, None]
