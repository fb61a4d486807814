"""An import that is killed at random moments, and run again until it is through."""

from __future__ import annotations

import csv
import gzip
import json
import random
import signal
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.command import KEY, run, start

from segment_librato.bulk.dry_run import DryRun
from segment_librato.bulk.files.items import Gap
from segment_librato.bulk.files.source import Reading, Source
from segment_librato.bulk.rules import RowRules
from segment_librato.devserver import LocalSegment
from segment_librato.errors import ValidationError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("unmeasured")]

SUFFIXES = (".jsonl", ".csv.gz", ".parquet")
ROWS = 15_000
BAD_EVERY = 500
CONCURRENCY: dict[int, int] = {
    signal.SIGKILL: 1,
    signal.SIGINT: 4,
}  # a kill has few sent twice then
MAX_ROWS_OF_A_REQUEST = 500  # of this size
MAPPING = {"properties.value": "value"}
OPTIONS = ("--map", "properties.value=value", "--yes", "--quiet", "--concurrency")


def write_rows(path: Path) -> None:
    """Write rows of which many are equal, some have ids of their own, and some have no time."""
    rows = [
        {
            "userId": f"u{n % 7}",
            "event": "Order Completed",
            "timestamp": f"2024-03-{n % 3 + 1:02}T12:00:00Z" if n % BAD_EVERY else None,
            "messageId": None if n % 10 else f"own-{n}",
            "value": n % 11,
            "note": f"two\nlines, {'x' * 1_000}",
        }
        for n in range(ROWS)
    ]
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=999)
    elif path.suffix == ".gz":
        with gzip.open(path, "wt", newline="") as file:
            writer = csv.DictWriter(file, [*rows[0]])
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(f"{json.dumps(row)}\n\n" for row in rows))


def expected(path: Path) -> tuple[list[str], list[int]]:
    """Return the ids of rows in a run without interruption, and the numbers of those rejected."""
    ids, rejected = [], []
    with closing(DryRun(KEY, RowRules(mapping=MAPPING))) as dry:
        for item in Source(str(path), Reading()).read([Gap()]):
            try:
                ids.append(dry.message(item.row)["messageId"])
            except ValidationError:
                rejected.append(item.number)
    assert len(ids) == len({*ids}) == ROWS - ROWS // BAD_EVERY
    return ids, rejected


def let_it_come_far(
    process: Any, server: LocalSegment, chance: random.Random, *, has_begun: bool
) -> None:
    """Wait until an import has come somewhere, or nowhere yet unless it has to have begun."""
    if not has_begun and chance.random() < 0.2:
        time.sleep(chance.uniform(0, 0.8))  # wherever that is
        return
    count = len(server.requests) + chance.randint(4, 14)
    while process.poll() is None and not server.wait_until(
        lambda: len(server.requests) > count, timeout=0.05
    ):
        pass
    time.sleep(chance.uniform(0, 0.02))  # wherever it is then


def import_with_interruptions(path: Path, number: int, most: int, chance: random.Random) -> int:
    """Import a file with interruptions by a signal, and check what came; return how many."""
    interruptions, is_kind = 0, number == signal.SIGINT
    rejects = path.with_suffix(".rejects")
    concurrency = CONCURRENCY[number]
    arguments = ("import", str(path), *OPTIONS, str(concurrency), "--rejects", str(rejects))
    with LocalSegment(on_request=lambda *_: time.sleep(0.005)) as server:
        while interruptions < most:
            process = start(*arguments, server=server)
            let_it_come_far(process, server, chance, has_begun=is_kind)
            process.send_signal(number)
            _, errors = process.communicate(timeout=240)
            assert "Traceback" not in errors
            if process.returncode in {1, -signal.SIGINT}:  # it was through, or at its exit
                break
            assert process.returncode == (130 if is_kind else -number), errors
            interruptions += 1
        run(*arguments, status=1, server=server)
        ids, rejected = expected(path)
        assert sorted(one["messageId"] for one in server.messages) == sorted(ids)
        at_once = concurrency + 1  # the last one is being recorded
        most_twice = 0 if is_kind else interruptions * at_once * MAX_ROWS_OF_A_REQUEST
        assert server.duplicates <= most_twice
        assert max(len(each.messages) for each in server.requests) <= MAX_ROWS_OF_A_REQUEST
        before = len(server.requests)
        run(*arguments, status=1, server=server)
        assert len(server.requests) == before
    lines = [json.loads(line) for line in rejects.read_bytes().splitlines()]
    assert sorted(line["number"] for line in lines) == rejected
    return interruptions


MUCH = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    "number, moments",
    [
        (signal.SIGKILL, 2),
        (signal.SIGINT, 2),
        pytest.param(signal.SIGKILL, 50, marks=MUCH),
        pytest.param(signal.SIGINT, 20, marks=MUCH),
    ],
)
def test_no_gap_and_no_second_id(number: int, moments: int, tmp_path: Path) -> None:
    """A kill has at most the requests under way sent twice, with the same ids; Ctrl-C none."""
    chance = random.Random(moments)  # noqa: S311  a failure can be repeated, about
    left, count = moments, 0
    while left:
        path = tmp_path / f"{count}{SUFFIXES[count % len(SUFFIXES)]}"
        write_rows(path)
        left -= import_with_interruptions(path, number, min(left, 6 if moments > 6 else 2), chance)
        count += 1
