"""The import of a file of history: how fast it is, and how much memory it takes on top."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, TYPE_CHECKING, Any

from benchmarks.events import small_event, user
from benchmarks.measures.process import forget_peak, peak_bytes, resident_bytes
from benchmarks.subjects import WRITE_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.measures.task import Reading, Task

__all__ = ["history", "history_command"]

LINE_BYTES = 380
PAGE = {"path": "/account/plan", "title": "Your plan", "referrer": "https://shop.example/"}


def history(task: Task, *, events: int, key: bool = False) -> Reading:
    """Measure the import of JSON lines without message ids, from the first to the last outcome.

    The rows are told apart by a key, or by all that is in them.
    """
    with TemporaryFile() as file:
        _write(file, events)
        loads = _loads()
        run = _import_floor if task.subject.is_floor else _import_rows
        run(task, [], loads, key=key)  # it imports what it needs
        return _measure(events, lambda: run(task, file, loads, key=key))


def history_command(task: Task, *, events: int) -> Reading:
    """Measure the command, which also reads the file and keeps what is settled on disk."""
    from segment_librato.cli.app import run

    os.environ.update(SEGMENT_WRITE_KEY=WRITE_KEY, SEGMENT_HOST=task.sink.url)
    with TemporaryDirectory() as folder:
        names = ["warm-up.jsonl", "history.jsonl"]
        for name, count in zip(names, [1, events], strict=True):
            with (Path(folder) / name).open("wb") as file:
                _write(file, count, first=events if name == names[0] else 0)
        warm_up, command = (["import", f"{folder}/{name}", "--yes", "--quiet"] for name in names)
        run(warm_up)
        return {**_measure(events, lambda: run(command)), "sent": events + 1}


def _measure(events: int, run: Callable[[], object]) -> Reading:
    gc.collect()
    before = resident_bytes()
    forget_peak()
    began, used = time.perf_counter(), time.process_time()
    run()
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - used
    return {
        "sent": events,
        "events_per_second": events / seconds,
        "cpu_us": cpu_seconds / events * 1e6,
        "megabytes": (peak_bytes() - before) / 1e6,
    }


def _write(file: IO[bytes], events: int, first: int = 0) -> None:
    for number in range(first, first + events):
        file.write(_line(number))
    file.seek(0)


def _line(number: int) -> bytes:
    event = {
        "type": "track",
        "userId": user(number),
        "event": "Subscription Renewed",
        "timestamp": f"2024-03-{1 + number % 28:02}T12:13:14.567Z",
        "properties": small_event(number),
        "context": {"ip": "198.51.100.24", "locale": "de-AT", "page": PAGE},
        "integrations": {},
    }
    line = json.dumps(event, separators=(",", ":")).encode()
    return line.ljust(LINE_BYTES - 1) + b"\n"


def _loads() -> Callable[[bytes], Any]:
    if sys.modules.get("orjson", True) is None:
        return json.loads
    import orjson

    return orjson.loads


def _import_rows(
    task: Task, lines: Iterable[bytes], loads: Callable[[bytes], Any], *, key: bool
) -> None:
    from segment_librato import import_rows

    columns = ["properties.order"] if key else []
    import_rows(map(loads, lines), WRITE_KEY, host=task.sink.url, key=columns)


def _import_floor(
    task: Task,
    lines: Iterable[bytes],
    loads: Callable[[bytes], Any],
    *,
    key: bool,  # noqa: ARG001  its ids are numbers
) -> None:
    from benchmarks.floor import import_lines, json_dump, orjson_dump

    dump = json_dump() if loads is json.loads else orjson_dump()
    import_lines(task.sink.url, lines, loads, dump)
