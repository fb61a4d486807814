"""`drain_spool`: each message is delivered once, told of once, or still there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.marks import needs_shell
from support.pages import blocks_for
from support.ports import reserved_port
from support.programs import programs, run
from support.script import sequence_numbers, wait_until_ready
from support.sessions import Shell, Step, steps
from support.spool import run_by_hand

from segment_librato import (
    APIError,
    ConfigError,
    DrainReport,
    SpoolCorruptError,
    drain_spool,
)
from segment_librato.config.client import Config
from segment_librato.devserver import LocalSegment
from segment_librato.spooling.folder import open_spool
from segment_librato.spooling.format import HEADER, pack
from segment_librato.spooling.run import Run

if TYPE_CHECKING:
    from support.errors import Errors
    from support.pages import Block


KEY = "test-key"


@pytest.fixture
def no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Config, "max_retries", 0)


def payload(n: int, **fields: Any) -> bytes:
    message = {"type": "track", "userId": "u", "event": "e", "messageId": f"m{n}", **fields}
    return json.dumps({**message, "properties": {"n": n}}).encode()


def folder_of(spool: Path, server: LocalSegment, write_key: str = KEY) -> Path:
    return open_spool(spool, write_key, Config(KEY, server.host).batch_url)


def leave(spool: Path, server: LocalSegment, *numbers: int) -> Path:
    """Leave messages as a process that has ended; return the folder for this server."""
    folder = folder_of(spool, server)
    run = Run(folder)
    lane = run.lane()
    for n in numbers:
        lane.append(payload(n))
    run.close()
    return folder


@pytest.fixture
def page() -> dict[str, list[Block]]:
    """Return the blocks of the page about the spool: its programs, and its commands."""
    found: dict[str, list[Block]] = {"sh": [], "python": []}
    for block in blocks_for(__file__):
        found["sh" if block.info == "sh" else "python"].append(block)
    return found


@pytest.mark.parametrize("number", [1, 2])
def test_the_programs_of_the_page_do_what_it_says(
    tmp_path: Path, page: dict[str, list[Block]], number: int
) -> None:
    """No server runs until the first one has been killed, with messages for any of the others."""
    track, *drains = programs(page["python"])
    assert len(drains) == 2
    with reserved_port() as port:
        run(track, tmp_path, port, status=-signal.SIGKILL)
        with LocalSegment(port) as server:
            assert run(drains[number - 1], tmp_path, port) == drains[number - 1].output
        assert len(server.messages) == 1000
        assert (server.duplicates, server.dropped) == (0, [])
        assert [one["properties"]["value"] for one in server.messages] == list(range(1000))


@needs_shell
def test_the_commands_of_the_page_end_well(
    tmp_path: Path, page: dict[str, list[Block]], server: LocalSegment
) -> None:
    leave(tmp_path / "spool", server, 1, 2)
    shell = Shell(tmp_path, server)
    shell.run(Step("", f"export SEGMENT_WRITE_KEY={KEY} SEGMENT_HOST={server.host}", None))
    shell.check(steps(page["sh"]))
    assert sequence_numbers(server) == [1, 2]


def test_what_was_left_is_delivered_in_order_and_gone(
    tmp_path: Path, server: LocalSegment, errors: Errors
) -> None:
    folder = leave(tmp_path, server, *range(100))
    leave(tmp_path, server, *range(100, 150))
    threads = threading.active_count()
    report = drain_spool(tmp_path, KEY, host=server.host, on_error=errors)
    assert report == DrainReport(delivered=150, failed=0, left=0, quarantined=0)
    assert sorted(sequence_numbers(server)) == list(range(150))
    assert sequence_numbers(server)[:100] in (list(range(100)), [*range(100, 150), *range(50)])
    assert list(folder.iterdir()) == []
    assert errors.calls == []
    assert threading.active_count() - threads <= 1  # that of the server


def test_a_str_is_a_path_too_and_requests_can_be_compressed(
    tmp_path: Path, server: LocalSegment
) -> None:
    leave(tmp_path, server, 1, 2)
    report = drain_spool(str(tmp_path), KEY, host=f"{server.host}/v1/batch", gzip=True)
    assert report == DrainReport(delivered=2)
    assert server.requests[0].headers["Content-Encoding"] == "gzip"


def test_where_nothing_was_left_nothing_is_made(
    tmp_path: Path, server: LocalSegment, caplog: pytest.LogCaptureFixture
) -> None:
    spool = tmp_path / "nothing"
    assert drain_spool(spool, KEY, host=server.host) == DrainReport()
    assert not spool.exists()
    assert caplog.messages == []


def test_a_drain_with_a_wrong_write_key_or_host_says_so(
    tmp_path: Path, server: LocalSegment, caplog: pytest.LogCaptureFixture
) -> None:
    leave(tmp_path, server, 1)
    hint = f"{tmp_path} has nothing for this write key and host; files for others: 1"
    assert drain_spool(tmp_path, "another-key", host=server.host) == DrainReport()
    assert caplog.messages == [hint]
    folder_of(tmp_path, server, "a-third-key")
    assert drain_spool(tmp_path, "a-third-key", host=server.host) == DrainReport()
    assert drain_spool(tmp_path, KEY, host="http://127.0.0.1:1") == DrainReport()
    assert caplog.messages == [hint] * 3
    assert server.requests == []
    assert drain_spool(tmp_path, KEY, host=server.host) == DrainReport(delivered=1)
    assert drain_spool(tmp_path, KEY, host=server.host) == DrainReport()
    assert len(caplog.messages) == 3


def test_progress_is_told_after_each_batch(tmp_path: Path, server: LocalSegment) -> None:
    leave(tmp_path, server, *range(6000))
    reports: list[DrainReport] = []
    total = drain_spool(tmp_path, KEY, host=server.host, progress=reports.append)
    assert reports[0] == DrainReport(delivered=2500, left=3500)
    assert len(reports) >= 3
    assert {one.delivered + one.left for one in reports} == {6000}
    assert total == reports[-1]
    assert all(later > earlier for earlier, later in pairwise(sequence_numbers(server)))


def test_a_progress_that_raises_ends_the_drain_and_nothing_is_sent_twice(
    tmp_path: Path, server: LocalSegment
) -> None:
    def stop(report: DrainReport) -> None:
        raise KeyError(report.delivered)

    leave(tmp_path, server, *range(3000))
    with pytest.raises(KeyError, match="2500"):
        drain_spool(tmp_path, KEY, host=server.host, progress=stop)
    assert drain_spool(tmp_path, KEY, host=server.host) == DrainReport(delivered=500)
    assert sequence_numbers(server) == list(range(3000))
    assert server.duplicates == 0


# What stays


def test_what_is_not_delivered_in_time_stays(
    tmp_path: Path, server: LocalSegment, errors: Errors, caplog: pytest.LogCaptureFixture
) -> None:
    leave(tmp_path, server, *range(3000))
    with server.hold():
        report = drain_spool(tmp_path, KEY, host=server.host, timeout=0.3, on_error=errors)
    assert report == DrainReport(left=3000)
    assert errors.calls == []
    assert "the rest stays in the spool: " in caplog.text
    server.clear()
    assert drain_spool(tmp_path, KEY, host=server.host, timeout=30) == DrainReport(delivered=3000)
    assert sequence_numbers(server) == list(range(3000))


def test_without_any_time_nothing_is_sent(tmp_path: Path, server: LocalSegment) -> None:
    leave(tmp_path, server, 1, 2)
    assert drain_spool(tmp_path, KEY, host=server.host, timeout=0) == DrainReport(left=2)
    assert server.requests == []


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.usefixtures("no_retries")
def test_what_a_server_in_trouble_does_not_take_stays(
    tmp_path: Path, server: LocalSegment, errors: Errors, status: int
) -> None:
    leave(tmp_path, server, *range(2600))
    server.respond(200)
    server.respond(status, times=None)
    report = drain_spool(tmp_path, KEY, host=server.host, on_error=errors)
    assert report == DrainReport(delivered=2500, left=100)
    assert errors.calls == []
    server.clear()
    assert drain_spool(tmp_path, KEY, host=server.host) == DrainReport(delivered=100)
    assert sequence_numbers(server) == list(range(2500, 2600))  # since it was cleared


@pytest.mark.usefixtures("no_retries")
def test_without_a_server_all_stays(tmp_path: Path, server: LocalSegment) -> None:
    leave(tmp_path, server, 1, 2, 3)
    server.close()
    assert drain_spool(tmp_path, KEY, host=server.host) == DrainReport(left=3)


def test_a_server_that_recovers_in_time_gets_all(tmp_path: Path, server: LocalSegment) -> None:
    leave(tmp_path, server, 1, 2, 3)
    server.respond(503)
    assert drain_spool(tmp_path, KEY, host=server.host, timeout=30) == DrainReport(delivered=3)


# What fails


@pytest.mark.parametrize("has_on_error", [True, False])
def test_a_poisoned_message_costs_only_itself(
    tmp_path: Path, server: LocalSegment, errors: Errors, *, has_on_error: bool
) -> None:
    folder = folder_of(tmp_path, server)
    run = Run(folder)
    lane = run.lane()
    for n in range(100):
        lane.append(payload(n, userId="u" if n != 37 else None))
    run.close()
    report = drain_spool(tmp_path, KEY, host=server.host, on_error=errors if has_on_error else None)
    assert report == DrainReport(delivered=99, failed=1)
    assert sequence_numbers(server) == [n for n in range(100) if n != 37]
    assert errors.message_ids == (["m37"] if has_on_error else [])
    assert list(folder.iterdir()) == []


def test_what_the_server_refuses_goes_to_on_error(
    tmp_path: Path, server: LocalSegment, errors: Errors
) -> None:
    folder = leave(tmp_path, server, 1, 2, 3)
    server.respond(401)
    report = drain_spool(tmp_path, KEY, host=server.host, on_error=errors)
    assert report == DrainReport(failed=3)
    assert errors.types == [APIError]
    assert errors.message_ids == ["m1", "m2", "m3"]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("status", [401, 403, 404, 302])
def test_without_on_error_what_is_not_the_fault_of_a_message_stays(
    tmp_path: Path, server: LocalSegment, status: int
) -> None:
    leave(tmp_path, server, 1, 2, 3)
    server.respond(status)
    assert drain_spool(tmp_path, KEY, host=server.host) == DrainReport(left=3)
    assert drain_spool(tmp_path, KEY, host=server.host) == DrainReport(delivered=3)


def test_an_on_error_that_exits_ends_the_drain_and_is_told_once(
    tmp_path: Path, server: LocalSegment, errors: Errors
) -> None:
    def exit_(error: Exception, messages: list[dict[str, Any]]) -> None:
        errors(error, messages)
        raise SystemExit

    leave(tmp_path, server, 1, 2, 3)
    server.respond(401)
    with pytest.raises(SystemExit):
        drain_spool(tmp_path, KEY, host=server.host, on_error=exit_)
    assert errors.message_ids == ["m1", "m2", "m3"]
    assert drain_spool(tmp_path, KEY, host=server.host, on_error=exit_) == DrainReport()


def test_damage_is_told_and_costs_no_other_file(
    tmp_path: Path, server: LocalSegment, errors: Errors
) -> None:
    folder = folder_of(tmp_path, server)
    sound = HEADER + pack(0, payload(0))
    run_by_hand(folder, sound + b"damage!!", HEADER + pack(100, payload(100)))
    report = drain_spool(tmp_path, KEY, host=server.host, on_error=errors)
    assert report == DrainReport(delivered=2, quarantined=1)
    ((error, messages),) = errors.calls
    assert isinstance(error, SpoolCorruptError)
    assert messages == []
    assert Path(error.path).read_bytes() == b"damage!!"
    assert error.bytes == 8


FULL_DISK = """
import os, resource, signal, sys
from segment_librato import Client
from segment_librato.spooling import spool
client = Client("test-key", sys.argv[1], spool=sys.argv[2], upload_interval=60, upload_size=500)
track = lambda first, last: [client.track("u", "e", {"n": n})[0] for n in range(first, last)]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))
accepted = track(0, 50)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
later, spool.monotonic = spool.monotonic, lambda: later() + 31
accepted += track(50, 100)
print(accepted.count(True), client.stats.spool.errors, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_disk_that_fills_up_and_empties_again_costs_only_what_was_in_memory(
    tmp_path: Path, server: LocalSegment
) -> None:
    process = subprocess.run(  # noqa: S603  the tests' own script
        [sys.executable, "-c", FULL_DISK, server.host, tmp_path],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (process.returncode, process.stdout) == (-signal.SIGKILL, "100 1\n")
    assert process.stderr.splitlines()[0].startswith("the spool in ")
    report = drain_spool(tmp_path, KEY, host=server.host)
    on_disk = report.delivered - 50
    assert 5 < on_disk < 50
    assert report == DrainReport(delivered=report.delivered)
    assert sequence_numbers(server) == [*range(on_disk), *range(50, 100)]


# Beside others


def test_what_a_live_process_writes_is_its_own(tmp_path: Path, server: LocalSegment) -> None:
    folder = leave(tmp_path, server, 1)
    run = Run(folder)
    run.lane().append(payload(2))
    assert drain_spool(tmp_path, KEY, host=server.host) == DrainReport(delivered=1)
    run.close()
    assert drain_spool(tmp_path, KEY, host=server.host) == DrainReport(delivered=1)
    assert sequence_numbers(server) == [1, 2]


@pytest.mark.parametrize("count", [2, 8])
def test_drains_at_once_deliver_each_message_once(
    tmp_path: Path, server: LocalSegment, count: int
) -> None:
    for n in range(40):
        folder = leave(tmp_path, server, *range(n * 10, n * 10 + 10))
    reports: list[DrainReport] = []
    begin = threading.Barrier(count)

    def drain() -> None:
        begin.wait()
        reports.append(drain_spool(tmp_path, KEY, host=server.host))

    threads = [threading.Thread(target=drain) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reports) == count
    assert sum(report.delivered for report in reports) == 400
    assert sorted(sequence_numbers(server)) == list(range(400))
    assert server.duplicates == 0
    assert list(folder.iterdir()) == []


DRAIN = """
import sys
from segment_librato import drain_spool
sys.stdout.write("ready\\n")
sys.stdout.flush()
sys.stdin.read()
report = drain_spool(sys.argv[2], "test-key", host=sys.argv[1])
assert report[1:] == (0, 0, 0), report
print(report.delivered)
"""


@pytest.mark.parametrize("count", [2, 8])
def test_processes_that_drain_at_once_deliver_each_message_once(
    tmp_path: Path, server: LocalSegment, count: int
) -> None:
    for n in range(80):
        folder = leave(tmp_path, server, *range(n * 10, n * 10 + 10))
    server.respond(200, delay=0.01, times=None)
    drains = [
        subprocess.Popen(  # noqa: S603  the tests' own script
            [sys.executable, "-c", DRAIN, server.host, tmp_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    for drain in drains:
        wait_until_ready(drain)
    for drain in drains:
        assert drain.stdin
        drain.stdin.close()
        drain.stdin = None
    delivered = [int(drain.communicate(timeout=240)[0]) for drain in drains]
    assert [drain.returncode for drain in drains] == [0] * count
    assert sum(delivered) == 800
    assert sorted(sequence_numbers(server)) == list(range(800))
    assert server.duplicates == 0
    assert list(folder.iterdir()) == []


# Arguments


@pytest.mark.parametrize(
    "wrong, text",
    [
        ({"path": 1}, "path: expected the path of a folder, got int"),
        ({"path": ""}, "path: expected the path of a folder, got an empty str"),
        ({"path": "a\0b"}, "path: expected the path of a folder, got one with a null character"),
        ({"write_key": None}, "write_key: expected the write key of a source, a str, got NoneType"),
        ({"write_key": ""}, "write_key: expected the write key of a source, a str, got an empty"),
        ({"host": 1}, "host: "),
        ({"timeout": "1"}, "timeout: expected .*, got str"),
        ({"timeout": -1}, "timeout: "),
        ({"on_error": 1}, "on_error: "),
        ({"progress": 1}, "progress: "),
    ],
)
def test_a_wrong_argument_is_named(tmp_path: Path, wrong: dict[str, Any], text: str) -> None:
    arguments = {"path": tmp_path, "write_key": KEY, **wrong}
    with pytest.raises(ConfigError, match=f"^{text}"):
        drain_spool(**arguments)


def test_a_folder_that_is_not_safe_is_refused(tmp_path: Path, server: LocalSegment) -> None:
    folder = leave(tmp_path / "spool", server, 1)
    folder.chmod(0o777)
    with pytest.raises(ConfigError, match=r"^path: other users can write to .*; its mode is 0777"):
        drain_spool(tmp_path / "spool", KEY, host=server.host)
    file = tmp_path / "file"
    file.touch(mode=0o600)
    with pytest.raises(ConfigError, match=r"^path: expected a folder, .* is something else$"):
        drain_spool(file, KEY, host=server.host)
    with pytest.raises(ConfigError, match=r"^path: cannot make or read the folder .*"):
        drain_spool(tmp_path / ("x" * 300), KEY, host=server.host)
