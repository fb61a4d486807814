"""Time limits of the application, which raise an OSError, in the middle of reading and writing."""

from __future__ import annotations

import signal
from itertools import count
from typing import TYPE_CHECKING

import pytest
from support.spool import Corruption, run_by_hand, segment_of

from segment_librato import ConfigError, SpoolConfig
from segment_librato.spooling import format as format_module
from segment_librato.spooling.backlog import Backlog
from segment_librato.spooling.run import Run

if TYPE_CHECKING:
    from pathlib import Path


def deliver_all(folder: Path, corruption: Corruption) -> list[bytes]:
    backlog = Backlog(folder, 2, 1000, corruption)
    found = []
    try:
        while batch := backlog.take():
            for segment, payload in batch.messages:
                found.append(payload)
                segment.count_settled(1)
                segment.delete_if_settled()
    finally:
        backlog.close()
    return found


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="there is no alarm")
def test_a_time_limit_that_strikes_while_a_file_is_read_puts_nothing_into_quarantine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(format_module, "READ_BYTES", 40)
    numbers_read = count()
    fill = format_module.SegmentReader._fill  # noqa: SLF001  where it reads

    def fill_until_the_time_is_up(reader: format_module.SegmentReader, size: int) -> bool:
        if next(numbers_read) == 5:
            signal.raise_signal(signal.SIGALRM)
        return fill(reader, size)

    def time_is_up(_signal: int, _frame: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(format_module.SegmentReader, "_fill", fill_until_the_time_is_up)
    run_by_hand(tmp_path, segment_of(0, 20))
    corruption = Corruption()
    before = signal.signal(signal.SIGALRM, time_is_up)
    try:
        with pytest.raises(TimeoutError):
            deliver_all(tmp_path, corruption)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert corruption.errors == []
    assert deliver_all(tmp_path, corruption)[-1] == b"19"
    assert list(tmp_path.iterdir()) == []


def test_a_handler_that_raises_while_a_sync_is_asked_for_has_the_next_message_ask(
    tmp_path: Path,
) -> None:
    run, asked = Run(tmp_path), []
    lane = run.lane()

    def ask() -> None:
        asked.append(1)
        if len(asked) == 1:
            raise KeyboardInterrupt

    run.on_dirty = ask
    with pytest.raises(KeyboardInterrupt):
        lane.append(b"0")
    lane.append(b"1")
    assert len(asked) == 2
    run.close()


def test_a_relative_path_in_a_folder_that_is_gone_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ConfigError, match="path: expected an absolute one"):
        SpoolConfig("spool")
