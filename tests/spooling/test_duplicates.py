"""What is sent twice after a `kill -9`: the messages of one file at most."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.marks import needs_fork
from support.script import sequence_numbers
from support.spool import max_messages_of_segment
from support.waiting import wait_until

from segment_librato import drain_spool
from segment_librato.devserver import LocalSegment
from segment_librato.queue.spooled import SpooledMessage, count_of_a_file
from segment_librato.spooling.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segment_librato import Client
    from segment_librato.devserver.http.exchange import Request
    from segment_librato.devserver.interfaces import Accepted

KEY = "test-key"
PADDING = 24_000  # bytes in a message, so that a segment has few
MAX_MESSAGES = 150  # that a process has accepted when it is killed, and a few more

SCRIPT = """
import os, sys
from segment_librato import Client
_, host, spool, padding, upload_interval = sys.argv
client = Client("test-key", host=host, spool=spool, upload_interval=float(upload_interval))
padding = "x" * int(padding)
while True:
    accepted, message = client.track("u", "e", {"padding": padding})
    if accepted:
        os.write(1, message["messageId"].encode() + b"\\n")
"""


def live_and_die(host: str, spool: Path, upload_interval: float, dies_at: int) -> list[str]:
    """Run a process until it is killed; return the ids that were accepted."""
    arguments = [host, str(spool), str(PADDING), str(upload_interval)]
    process = subprocess.Popen(  # noqa: S603  the tests' own script
        [sys.executable, "-c", SCRIPT, *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    accepted = [process.stdout.readline() for _ in range(dies_at)]
    os.kill(process.pid, signal.SIGKILL)
    accepted += process.stdout.read().splitlines(keepends=True)
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    return [line.strip() for line in accepted if line.endswith("\n")]


@needs_fork  # that is, where there is SIGKILL
@pytest.mark.parametrize(
    "laps",
    [
        pytest.param(10, id="10 laps", marks=pytest.mark.once),
        pytest.param(
            100, id="100 laps", marks=[pytest.mark.slow, pytest.mark.once, pytest.mark.timeout(900)]
        ),
    ],
)
@pytest.mark.usefixtures("unmeasured")
def test_a_kill_has_the_messages_of_one_file_sent_again_at_most(
    tmp_path: Path, server: LocalSegment, laps: int
) -> None:
    for lap in range(laps):
        seed = random.Random(lap)  # noqa: S311  a failure can be repeated
        upload_interval = seed.choice([0.002, 0.02, 0.2])
        dies_at = seed.randint(1, MAX_MESSAGES)
        accepted = live_and_die(server.host, tmp_path, upload_interval, dies_at)
        report = drain_spool(tmp_path, KEY, host=server.host)
        assert (report.failed, report.left, report.quarantined) == (0, 0, 0)
        assert set(accepted) <= {message["messageId"] for message in server.messages}
        assert server.duplicates <= max_messages_of_segment(PADDING), lap
        server.clear()


def test_a_batch_ends_with_its_file(
    make_client: Callable[..., Client], tmp_path: Path, server: LocalSegment
) -> None:
    in_file = max_messages_of_segment(PADDING)
    client = make_client(spool=tmp_path, upload_interval=60)
    for n in range(5):
        client.track("u", "e", {"n": n, "padding": "x" * PADDING})
    assert client.flush(10)
    with server.hold():
        client.track("u", "e", {"n": 5})
        client.flush(0)
        assert server.wait_until(lambda: server.held == 1)
        for n in range(6, 2 * in_file):
            client.track("u", "e", {"n": n, "padding": "x" * PADDING})
    assert client.flush(10)
    assert sequence_numbers(server) == [*range(2 * in_file)]
    sizes = [request.batch_size for request in server.requests]
    assert sizes == [5, 1, in_file - 1, 1, in_file - 6]  # a request is full, a file is


def test_a_file_that_is_delivered_does_not_wait_for_the_overflow(
    make_client: Callable[..., Client], tmp_path: Path, server: LocalSegment
) -> None:
    client = make_client(spool=tmp_path, upload_interval=60, upload_size=5, max_queue_size=5)

    server.respond(200, times=2)
    server.respond(500, times=None)
    with server.hold():
        for n in range(5):
            client.track("u", "e", {"n": n})
        assert server.wait_until(lambda: server.held == 1)
        for n in range(5, 20):  # five in the window, the rest in the overflow
            client.track("u", "e", {"n": n})
        assert len([*tmp_path.rglob("*.seg")]) == 2
    assert server.wait_until(lambda: len(server.requests) >= 3)  # and its retries
    assert len([*tmp_path.rglob("*.seg")]) == 1
    server.clear()
    assert client.flush(10)
    numbers = sequence_numbers(server)
    assert numbers == [*range(numbers[0], 20)]  # since it was cleared
    assert numbers[0] <= 10


def test_a_file_of_the_overflow_that_is_delivered_does_not_wait_for_the_window(
    make_client: Callable[..., Client], tmp_path: Path
) -> None:
    def on_request(request: Request, _: Accepted) -> None:
        if any(message["properties"]["n"] == 9 for message in request.messages):
            client.track("u", "e", {"n": 10})  # so that something waits all the time

    with LocalSegment(on_request=on_request) as server:
        options = {"upload_interval": 60, "upload_size": 4, "max_queue_size": 4}
        client = make_client(host=server.host, spool=tmp_path, **options)
        with server.hold():
            for n in range(2):
                client.track("u", "e", {"n": n})
            assert server.wait_until(lambda: server.held == 1)
            for n in range(2, 10):  # four in the window, the rest in the overflow
                client.track("u", "e", {"n": n})
        wait_until(lambda: client.stats.pending == 1 and len([*tmp_path.rglob("*.seg")]) == 1)
        assert client.flush(10)


# The rule, with files of several threads


class Sized(Segment):
    def __init__(self, size: int, settled: int = 0) -> None:
        self.size = size
        self.settled = settled


def count_of(*segments: Segment | None) -> int:
    return count_of_a_file([SpooledMessage(b"{}", segment) for segment in segments], 100)


def test_a_batch_has_messages_of_small_files() -> None:
    one, two, three = Sized(40), Sized(60), Sized(1)
    assert count_of(one, two, one, two) == 4
    assert count_of(one, two, one, two, three, one) == 4


def test_a_batch_has_messages_of_files_that_were_begun() -> None:
    one, two, three = Sized(90, settled=1), Sized(90, settled=1), Sized(90)
    assert count_of(one, two, one, two) == 4
    assert count_of(one, two, three, one) == 2
    assert count_of(three, one, three, two) == 4


def test_a_large_file_has_a_batch_of_its_own() -> None:
    assert count_of(Sized(200)) == 1
    assert count_of(Sized(200), Sized(1)) == 1


def test_what_is_in_memory_only_is_of_no_file() -> None:
    one = Sized(100)
    assert count_of(None, None) == 2
    assert count_of(None, one, None, one) == 4
