"""A signal handler that forks in the middle of a call, and a child that goes on with it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from support.marks import needs_fork
from support.python import run_python
from support.script import fork_warning
from support.spool import Corruption, drain, numbers

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [needs_fork, pytest.mark.once]

# The parent writes 0, both go on with 1, which the child delivers; the child writes 2, and the
# parent 3. So it goes, lap after lap, in a folder of its own: the handler forks at each place of a
# call where one may run.
SCRIPT = """
    import os, signal, sys
    from itertools import count
    from pathlib import Path
    from segment_librato.spooling import lane as lane_module
    from segment_librato.spooling.run import Run

    os.fsync = os.fstat  # which takes no time, and needs a descriptor, too
    folder, scenario = Path(sys.argv[1]), sys.argv[2]
    ours = os.path.dirname(os.path.dirname(lane_module.__file__))
    child = None

    def fork(*_):
        global child
        child = os.fork()

    def interrupt(frame, event, arg):
        global left
        if frame.f_code.co_filename.startswith(ours) and event in {"call", "c_return"}:
            left -= 1
            if left == 0:
                sys.setprofile(None)
                signal.raise_signal(signal.SIGUSR1)

    def settle(segment, count):
        segment.settled += count
        segment.delete_if_settled()

    def write(lane):
        settle(lane.append(b"0"), 1)
        yield lambda: lane.append(b"1")

    def write_first(lane):
        yield lambda: lane.append(b"1")
        lane.append(b"0")

    def write_on(lane):
        lane.append(b"0")
        lane_module.MAX_SEGMENT_AGE = 0
        yield lambda: lane.append(b"1")

    def retire(lane):
        other = lane.append(b"0")
        lane._idle.remove(other)
        settle(lane.append(b"1"), 1)
        lane._idle.append(other)
        yield lane.retire

    signal.signal(signal.SIGUSR1, fork)
    for number in count(1):
        left, child, age = number, None, lane_module.MAX_SEGMENT_AGE
        (folder / str(number)).mkdir(mode=0o700)
        run = Run(folder / str(number), 0 if scenario == "write_first" else 1)
        lane = run.lane()
        steps = globals()[scenario](lane)
        call = next(steps)
        sys.setprofile(interrupt)
        segment = call()
        sys.setprofile(None)
        lane_module.MAX_SEGMENT_AGE = age
        if child == 0:
            is_own = segment is not None and not segment.is_of_parent
            assert lane.unread == is_own, lane.unread
            if segment:
                settle(segment, segment.records - segment.settled)
            lane.retire()
            run.tidy()
            assert f"-{os.getpid()}-" in str(lane.append(b"2").path)
            os._exit(0)
        if child:
            assert os.waitpid(child, 0)[1] == 0
        next(steps, None)
        lane.append(b"3")
        run.sync()
        run.close()
        if child is None:
            print(number)
            break
"""


@pytest.mark.parametrize("scenario", ["write", "write_first", "write_on", "retire"])
def test_a_child_goes_on_without_the_files_of_its_parent(
    tmp_path: Path, unmeasured: None, scenario: str
) -> None:
    laps = int(run_python(SCRIPT, tmp_path, scenario, options=fork_warning))
    assert laps > 5
    expected = numbers(0, 4)
    if scenario == "retire":  # 1 has its outcome
        expected.remove(b"1")
    for lap in range(1, laps):
        corruption = Corruption()
        found = Counter(drain(tmp_path / str(lap), corruption))
        where = f"lap {lap}: {found}"
        assert corruption.errors == [], where
        assert found == Counter(expected), where


# The same at two places only, while coverage is measured.
MEASURED_SCRIPT = """
    import os, signal, sys
    from pathlib import Path
    from segment_librato.spooling import lane as lane_module
    from segment_librato.spooling.run import Run
    from segment_librato.spooling.segment import WrittenSegment

    child, troubles = None, []
    crc32, sync = lane_module.crc32, WrittenSegment.sync

    def fork(*_):
        global child
        lane_module.crc32, WrittenSegment.sync = crc32, sync
        child = os.fork()

    def fork_before_write(data):
        signal.raise_signal(signal.SIGUSR1)
        return crc32(data)

    def fork_before_sync(segment):
        signal.raise_signal(signal.SIGUSR1)
        sync(segment)

    signal.signal(signal.SIGUSR1, fork)
    run = Run(Path(sys.argv[1]), 0)
    run.on_trouble = troubles.append
    lane = run.lane()
    lane.append(b"0")
    if sys.argv[2] == "write":
        lane_module.crc32 = fork_before_write
    else:
        WrittenSegment.sync = fork_before_sync
    lane.append(b"1")
    lane.append(b"2" if child == 0 else b"3")
    assert troubles == []
    if child:
        assert os.waitpid(child, 0)[1] == 0
    os._exit(0)
"""


@pytest.mark.parametrize("when", ["write", "sync"])
def test_a_child_leaves_the_message_of_an_interrupted_call_to_its_parent(
    tmp_path: Path, when: str
) -> None:
    run_python(MEASURED_SCRIPT, tmp_path, when, options=fork_warning)
    corruption = Corruption()
    assert sorted(drain(tmp_path, corruption)) == numbers(0, 4)
    assert corruption.errors == []


# A sample, from the first line of the lane on: it counts in the child only if its record is there.
GAUGE_SCRIPT = """
    import os, signal, sys
    from itertools import count
    from pathlib import Path
    from segment_librato.config.spool import SpoolConfig
    from segment_librato.gauge_delivery.spooled_queue import SpooledGaugeQueue, SpooledSamples
    from segment_librato.librato.mapper import Measurement
    from segment_librato.process.fork import register_after_fork
    from segment_librato.queue.schedule import BatchRules
    from segment_librato.spooling import lane as lane_module
    from segment_librato.spooling.spool import Spool

    class Forkable:
        def __init__(self, queue):
            self.reset_after_fork = queue.reset
            register_after_fork(self)

    def fork(*_):
        global child
        child = os.fork()

    def interrupt(frame, event, arg):
        global left
        if frame.f_code.co_filename == lane_module.__file__ and event in {"call", "c_return"}:
            left -= 1
            if left == 0:
                sys.setprofile(None)
                signal.raise_signal(signal.SIGUSR1)

    def sample(name):
        return SpooledSamples(Measurement(name, 1, 0, "source"), 60, 0)

    signal.signal(signal.SIGUSR1, fork)
    for number in count(1):
        left, child = number, None
        spool = Spool.open(SpoolConfig(Path(sys.argv[1], str(number)), fsync=None), "key", "host")
        queue = SpooledGaugeQueue(spool, 100, BatchRules(2, 100, 50_000, 60), 60)
        pipeline = Forkable(queue)
        queue.offer(sample("gauge"))
        one = sample(sys.argv[2])
        sys.setprofile(interrupt)
        queue.offer(one)
        sys.setprofile(None)
        if child == 0:
            runs = spool.folder.glob(f"*-{os.getpid()}-*/*.seg")
            has_record = any(path.stat().st_size > 16 for path in runs)
            assert queue.qsize() == has_record, number
            os._exit(0)
        if child is None:
            print(number)
            break
        assert os.waitpid(child, 0)[1] == 0
        assert queue.ledger.stats().accepted == (1 if sys.argv[2] == "gauge" else 2)
"""


@pytest.mark.parametrize("name", ["gauge", "another"])
def test_a_sample_that_is_interrupted_by_a_fork_counts_where_its_record_is(
    tmp_path: Path, unmeasured: None, name: str
) -> None:
    assert int(run_python(GAUGE_SCRIPT, tmp_path, name, options=fork_warning)) > 5
