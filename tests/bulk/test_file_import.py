"""An import of files that ends anywhere, and goes on: each row comes to an outcome once."""

from __future__ import annotations

import errno
import itertools
import json
import os
import random
import sqlite3
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.disk import failing

from segment_librato.bulk.file_import import FileImport, plan
from segment_librato.bulk.files.items import Gap
from segment_librato.bulk.files.source import Reading, Source
from segment_librato.bulk.outcomes import DELIVERED, REJECTED, Outcome, Settled
from segment_librato.bulk.recording import Recorder
from segment_librato.bulk.rejects import RejectsFile
from segment_librato.bulk.settlement import Range, Settlement
from segment_librato.bulk.state import State
from segment_librato.bulk.state_file import StateError, check_state, delete_state
from segment_librato.errors import ImportStoppedError, ShutdownTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from pathlib import Path

BATCH = 3
UNDER_WAY = 4


class Killed(BaseException):
    """The process has ended."""


class FakeImporter:
    """Settles batches in any order, and may end in the middle; counts as an importer does."""

    def __init__(self, chance: random.Random, *, counts: bool) -> None:
        self.tells_equal_rows_apart = counts
        self.sent: list[Any] = []
        self.counted: list[Any] = []
        self.settled = 0
        self._chance = chance
        self._is_stopped = False

    def stop(self) -> None:
        self._is_stopped = True

    def count(self, row: object) -> None:
        self.counted.append(row)

    def settle(self, rows: Iterable[object]) -> Generator[Settled, None, None]:
        under_way: list[list[Outcome]] = []
        batch: list[Outcome] = []
        for number, row in enumerate(rows, 1):
            is_bad = not isinstance(row, dict) or row["n"] % 10 == 7
            outcome, reason = (REJECTED, "bad") if is_bad else (DELIVERED, None)
            batch.append(Outcome(number, None, outcome, None, reason, row))
            self.counted.append(row)
            if len(batch) < BATCH:
                continue
            under_way.append(batch)
            self.sent += [one.row for one in batch]
            batch = []
            if len(under_way) == UNDER_WAY:
                yield self._settle(under_way)
            if self._is_stopped:
                break
        if batch:
            under_way.append(batch)
            self.sent += [one.row for one in batch]
        while under_way:
            yield self._settle(under_way)
        if self._is_stopped:
            raise ImportStoppedError(ShutdownTimeoutError("on request"), 0)

    def _settle(self, under_way: list[list[Outcome]]) -> Settled:
        outcomes = under_way.pop(self._chance.randrange(len(under_way)))
        self.settled += len(outcomes)
        return Settled(outcomes[0].number, outcomes)


class Files:
    """Two files, and what becomes of their rows in several runs."""

    def __init__(self, folder: Path, chance: random.Random, *, counts: bool) -> None:
        self._folder = folder
        self._chance = chance
        self._counts = counts
        self.sent: list[Any] = []
        for name, numbers in (("a", range(40)), ("b", range(40, 55))):
            (folder / name).write_text(
                "".join(f'{{"n": {n}}}\n\n' for n in numbers) + "{broken\n\n"
            )

    def run(self, most: int | None = None, *, limit: int | None = None) -> FileImport:
        """Run until so many requests have settled, or to the end."""
        sources = [Source(str(self._folder / name), Reading("jsonl")) for name in "ab"]
        importer = FakeImporter(self._chance, counts=self._counts)
        with ExitStack() as stack:
            state = stack.enter_context(State(self._folder / "state", {}))
            rejects = RejectsFile(str(self._folder / "rejects"), state.rejects_bytes)
            stack.enter_context(rejects)
            files = state.add_files([(one.path, one.fingerprint) for one in sources])
            fake: Any = importer
            work = FileImport(sources, files, fake, state, rejects, limit)
            skipped = work.report().read
            try:
                for count, report in enumerate(work.run(), 1):
                    assert report.read == skipped + importer.settled
                    if count == most:
                        raise Killed
            finally:
                self.sent += importer.sent
                self.counted = importer.counted
                if self._chance.random() < 0.5:  # killed between the two files
                    rejects.write([b'{"half a li'])
        return work

    def rejected(self) -> list[tuple[str, int]]:
        lines = (self._folder / "rejects").read_bytes().splitlines()
        return sorted(
            (one["file"][-1], one["number"])
            for one in map(json.loads, (line for line in lines if line != b'{"half a li'))
        )


EXPECTED_REJECTS = [
    *(("a", 2 * n + 1) for n in (7, 17, 27, 37, 40)),
    *(("b", 2 * (n - 40) + 1) for n in (47, 55)),
]


@pytest.mark.once
@pytest.mark.parametrize("counts", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_each_row_comes_to_one_outcome(seed: int, counts: bool, tmp_path: Path) -> None:
    chance = random.Random(seed)  # noqa: S311  a failure can be repeated
    files = Files(tmp_path, chance, counts=counts)
    kills = 0
    for _ in range(chance.randrange(6)):
        with pytest.raises(Killed):
            files.run(chance.randrange(1, 4))
        kills += 1
    work = files.run()
    rows = [one["n"] for one in files.sent if isinstance(one, dict)]
    assert {*rows} == {*range(55)}
    assert len(files.sent) - 57 <= kills * UNDER_WAY * BATCH
    assert files.rejected() == EXPECTED_REJECTS
    report = work.report()
    assert report.read == 57
    if counts:  # each row is counted once, in order
        assert [one["n"] for one in files.counted if isinstance(one, dict)] == [*range(55)]
    before = len(files.sent)
    assert files.run().report().skipped == 57
    assert len(files.sent) == before


@pytest.mark.parametrize("is_stopped", [False, True])
def test_ctrl_c_ends_the_counting_of_settled_rows(
    is_stopped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be millions. Without a stop it is raised as it comes."""
    files = Files(tmp_path, random.Random(1), counts=True)  # noqa: S311  the same
    with pytest.raises(Killed):
        files.run(3)
    run, counted, works = FileImport.run, [], []

    def remember(work: FileImport) -> Generator[Any, None, None]:
        works.append(work)
        return run(work)

    def count(_: FakeImporter, row: object) -> None:
        counted.append(row)
        if not is_stopped:
            raise KeyboardInterrupt
        works[0].interrupt()

    monkeypatch.setattr(FileImport, "run", remember)
    monkeypatch.setattr(FakeImporter, "count", count)
    with pytest.raises(ImportStoppedError if is_stopped else KeyboardInterrupt):
        files.run()
    assert len(counted) == 1


def test_a_limit_is_where_the_next_run_begins(tmp_path: Path) -> None:
    files = Files(tmp_path, random.Random(1), counts=False)  # noqa: S311  the same
    assert files.run(limit=41).report()[:2] == (41, 36)
    report = files.run().report()
    assert (report.read, report.skipped) == (57, 41)
    assert len(files.sent) == 57


@pytest.mark.once
@given(data=st.data())
def test_ranges_that_touch_are_one(data: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever their order, and whatever was known when the state was opened."""
    edges = sorted(data.draw(st.sets(st.integers(1, 100), min_size=1, max_size=12)))
    parts = [
        Range(first, last, last, last - first)
        for first, last in zip([0, *edges], edges, strict=False)
    ]
    order = data.draw(st.permutations(parts))
    path = tmp_path_factory.mktemp("state") / "s"
    seen: set[int] = set()
    for at in range(0, len(order), 4):
        with State(path, {}) as state:
            (file,) = state.add_files([("a", "f")])
            for one in order[at : at + 4]:
                state.settle(Settlement([(file, one)], 0, {}, counts_rows=False), 0)
                seen |= {*range(one.first, one.last)}
            ranges = state.ranges(file)
            assert {n for one in ranges for n in range(one.first, one.last)} == seen
            assert sum(one.rows for one in ranges) == len(seen)
            assert all(a.last < b.first for a, b in itertools.pairwise(ranges))
            settled = [part.gap for part in plan(ranges) if part.is_settled]
            gaps = [part.gap for part in plan(ranges) if not part.is_settled]
            assert [(gap.first, gap.last) for gap in settled] == [one[:2] for one in ranges]
            assert gaps[-1].last is None
            together = sorted([*settled, *gaps])
            assert all(a.last == b.first for a, b in itertools.pairwise(together))
            assert all(gap.first == gap.number for gap in gaps)


def test_a_plan_of_nothing_is_all() -> None:
    assert [*plan([])] == [(Gap(0, None, 0), False)]


class TestState:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "state"

    def test_it_keeps_counts(self, path: Path) -> None:
        with State(path, {"--name": "x"}) as state:
            assert (state.delivered, state.reasons, state.counts_rows) == (0, {}, False)
            state.settle(Settlement([], 3, {"bad": 2}, counts_rows=True), 77)
            state.settle(Settlement([], 5, {"bad": 3, "worse": 1}, counts_rows=True), 88)
        with State(path, {"--name": "x"}) as state:
            assert (state.delivered, state.reasons) == (5, {"bad": 3, "worse": 1})
            assert (state.rejects_bytes, state.counts_rows) == (88, True)
        assert [*path.parent.iterdir()] == [path]

    def test_a_reason_may_get_another_text(self, path: Path) -> None:
        with State(path, {}) as state:
            state.settle(Settlement([], 3, {"got 5": 1}, counts_rows=True), 0)
            state.settle(Settlement([], 3, {"got N": 2}, counts_rows=True), 0)
            assert (state.delivered, state.reasons) == (3, {"got N": 2})

    def test_a_file_may_move_or_come_twice(self, path: Path) -> None:
        with State(path, {}) as state:
            first, second = state.add_files([("a", "f"), ("b", "f")])
            assert first != second
            state.finish(first)
            assert state.add_files([("c", "f"), ("b", "f")]) == [first, second]
            assert state.add_files([("b", "f"), ("a", "f"), ("d", "g")]) == [second, first, 3]
            assert [state.is_done(file) for file in (first, second, 3)] == [True, False, False]
            state.settle(Settlement([(second, Range(0, 9, 1, 1))], 1, {}, counts_rows=False), 0)
            with pytest.raises(StateError, match="b has changed since its import began"):
                state.add_files([("b", "other")])

    @pytest.mark.parametrize("counts", [False, True])
    def test_a_file_with_rows_that_count_must_be_there(self, counts: bool, path: Path) -> None:
        with State(path, {}) as state:
            first, _, last = state.add_files([("a", "f"), ("b", "g"), ("c", "h")])
            settled = [(first, Range(0, 9, 1, 1)), (last, Range(0, 9, 1, 1))]
            state.settle(Settlement(settled, 2, {}, counts_rows=counts), 0)
        with State(path, {}) as state:
            if counts:
                with pytest.raises(StateError, match=r"^a is missing: ids of equal rows depend"):
                    state.add_files([("b", "g"), ("c", "h")])
                assert state.add_files([("moved", "f"), ("c", "h")]) == [first, last]
            else:
                assert state.add_files([("c", "h")]) == [last]

    @pytest.mark.parametrize(
        "change", ["UPDATE about SET value = '2' WHERE name = 'version'", "DROP TABLE ranges"]
    )
    def test_what_it_does_not_know_is_told(self, change: str, path: Path) -> None:
        with State(path, {}):
            pass
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(change)
        with pytest.raises(StateError, match="; use another --state FILE"):
            State(path, {})

    def test_another_database_stays_as_it_is(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE mine (value TEXT)")
        before = path.read_bytes()
        for use in (delete_state, check_state, lambda path: State(path, {})):
            with pytest.raises(
                StateError, match="is not the state of an import; use another --state FILE"
            ):
                use(path)
        assert path.read_bytes() == before

    def test_an_empty_file_becomes_one(self, path: Path) -> None:
        path.touch()
        delete_state(path)
        delete_state(path)
        path.touch()
        with State(path, {}) as state:
            assert state.ranges(*state.add_files([("a", "f")])) == []

    def test_rejects_that_cannot_be_written_name_their_file(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
        text = "cannot be written: No space left on device; free space if the disk is full, and run"
        with RejectsFile(str(path), 0) as rejects, pytest.raises(OSError, match=text) as caught:
            rejects.write([b"{}"])
        assert caught.value.filename == str(path)

    def test_a_disk_that_takes_nothing_is_told(self, path: Path) -> None:
        state = State(path, {})
        state.close()
        uses: list[Callable[[], object]] = [
            lambda: state.settle(Settlement([], 1, {}, counts_rows=False), 0),
            lambda: state.add_files([("a", "f")]),
            lambda: state.keep_rejects("r"),
            lambda: state.has_rejects("r"),
            lambda: state.finish(1),
            lambda: state.is_done(1),
            lambda: state.delivered,
            lambda: state.reasons,
        ]
        for use in uses:
            with pytest.raises(OSError, match="the state cannot be read or written: ") as caught:
                use()
            assert caught.value.filename == str(path)

    @pytest.mark.parametrize(
        "error,words",
        [
            (sqlite3.OperationalError("database is locked"), "is in use"),
            (sqlite3.OperationalError("database or disk is full"), "free space if the disk is"),
            (sqlite3.OperationalError("disk I/O error"), r"cannot be used \(disk I/O error\)"),
            (sqlite3.OperationalError("no such table: about"), "is not the state of an import"),
            (sqlite3.DatabaseError("file is not a database"), "is not the state of an import"),
        ],
    )
    def test_what_sqlite_says_is_told(
        self, error: sqlite3.Error, words: str, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise error

        monkeypatch.setattr(State, "_open", fail)
        with pytest.raises(StateError, match=words):
            State(path, {})

    def test_many_files_are_one_change(self, path: Path) -> None:
        """A disk takes milliseconds for each."""
        with State(path, {}) as state:
            changes: list[str] = []
            state._database.set_trace_callback(changes.append)  # noqa: SLF001  to count them
            ids = state.add_files([(f"a{n}", f"f{n}") for n in range(100)])
            state.finish(*ids)
            assert changes.count("COMMIT") == 2
            assert all(map(state.is_done, ids))

    def test_it_waits_for_the_disk(self, path: Path) -> None:
        with State(path, {}) as state:
            rows = state._database.execute("PRAGMA synchronous")  # noqa: SLF001  nothing else shows it
            assert rows.fetchone() == (2,)  # FULL

    def test_rejects_are_on_disk_before_the_state_knows(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Else a loss of power leaves rows that are settled, and no line that says how."""
        events: list[object] = []
        rejects = path.with_name("rejects")
        fsync = os.fsync

        def sync(file: int) -> None:
            fsync(file)
            events.append(rejects.read_bytes())

        monkeypatch.setattr(os, "fsync", sync)
        with State(path, {}) as state, RejectsFile(str(rejects), 0) as file:
            state._database.set_trace_callback(events.append)  # noqa: SLF001  to see the order
            with Recorder(state, file) as recorder:
                for n in (1, 2):
                    recorder.record(Settlement([], 0, {"bad": n}, counts_rows=False), [b"line\n"])
        found = [one for one in events if isinstance(one, bytes) or one == "COMMIT"]
        assert found == [b"line\n", "COMMIT", b"line\nline\n", "COMMIT"]

    def test_what_could_not_be_recorded_is_told_with_the_next(self, path: Path) -> None:
        state = State(path, {})
        state.close()
        with pytest.raises(OSError, match="the state"), Recorder(state, None) as recorder:
            recorder.record(Settlement([], 1, {}, counts_rows=False), [])
