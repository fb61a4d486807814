"""Whoever claims messages tells `on_error` of them before the process may end.

A server that holds its responses, and an `on_error` that takes its time, put each report where
the end of the process used to overtake it.
"""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest
from support.background import release_when_waited_for
from support.script import run

from segment_librato.process import exit as process_exit

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato import Client, SegmentError
    from segment_librato.devserver import LocalSegment

    MakeClient = Callable[..., Client]

LONG = 60.0

# `begun` is set while a report is made; that takes longer than the exit would wait for delivery,
# so it has to be in seconds.
SLOW_ON_ERROR = """
import logging
logging.disable()
begun = threading.Event()
def slow(error, messages):
    begun.set()
    time.sleep(0.5)
    told = " ".join(str(message["properties"]["n"]) for message in messages)
    os.write(1, f"told {told}\\n".encode())
"""


class BlockingOnError:
    """An `on_error` that returns when it is released."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.released = threading.Event()
        self.told = 0

    def __call__(self, error: SegmentError, messages: list[object]) -> None:
        self.begun.set()
        assert self.released.wait(LONG)
        self.told += len(messages)


def told_numbers(output: str) -> list[int]:
    lines = [line.split() for line in output.splitlines()]
    return sorted(int(number) for word, *numbers in lines if word == "told" for number in numbers)


def returned_numbers(output: str) -> set[int]:
    """Return the numbers of the calls that returned that the message was accepted."""
    lines = [line.split() for line in output.splitlines()]
    return {int(number) for word, number, *_ in lines if word == "accepted"}


# Shutdown


def test_a_second_shutdown_waits_for_the_report_of_the_first(
    server: LocalSegment, make_client: MakeClient
) -> None:
    on_error = BlockingOnError()
    client = make_client(on_error=on_error, upload_interval=LONG)
    told_at_return: list[int] = []

    def shut_down() -> None:
        client.shutdown(timeout=0)
        told_at_return.append(on_error.told)

    with server.hold():
        for _ in range(5):
            client.track("user", "event")
        threads = [threading.Thread(target=shut_down) for _ in range(2)]
        threads[0].start()
        assert on_error.begun.wait(10)
        threads[1].start()
        threads[1].join(0.2)
        assert threads[1].is_alive()
        on_error.released.set()
        for thread in threads:
            thread.join(10)
    assert told_at_return == [5, 5]


def test_a_shutdown_waits_for_the_report_of_a_consumer(
    server: LocalSegment, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.respond(404, times=None)
    on_error = BlockingOnError()
    client = make_client(on_error=on_error, upload_size=1)
    client.track("user", "event")
    assert on_error.begun.wait(10)
    release_when_waited_for(on_error.released, monkeypatch)
    assert not client.shutdown(timeout=0)
    assert on_error.told == 1


def test_an_on_error_that_hangs_does_not_hang_a_shutdown(
    server: LocalSegment, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets another chance at the exit."""
    monkeypatch.setattr("segment_librato.delivery.pipeline.REPORT_GRACE", 0.1)
    server.respond(404, times=None)
    on_error = BlockingOnError()
    client = make_client(on_error=on_error, upload_size=1)
    client.track("user", "event")
    assert on_error.begun.wait(10)
    assert not client.shutdown(timeout=0)
    pipeline = client._router._segment  # noqa: SLF001  what the exit knows of a client
    assert pipeline in process_exit.exit_state.drainables.values()
    on_error.released.set()
    assert client.shutdown(timeout=10)
    assert on_error.told == 1
    assert pipeline not in process_exit.exit_state.drainables.values()


# The end of the process

WAYS_TO_CLAIM = {  # the status that the server responds with, if it does
    "a shutdown on another thread": (0, "threading.Thread(target=client.shutdown, args=(0,))"),
    "a consumer whose messages the server refused": (404, "threading.Thread()"),
}
WAYS_TO_END = {
    "the last line": ("", 0),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
}


@pytest.mark.parametrize("claim", WAYS_TO_CLAIM.values(), ids=WAYS_TO_CLAIM)
@pytest.mark.parametrize("end", WAYS_TO_END.values(), ids=WAYS_TO_END)
def test_the_process_does_not_end_before_a_report_that_has_begun(
    server: LocalSegment, claim: tuple[int, str], end: tuple[str, int]
) -> None:
    response, thread = claim
    ending, status = end
    if response:
        server.respond(response, times=None)
    else:
        server.hold()
    output = run(
        server,
        SLOW_ON_ERROR
        + f"""
segment_librato.flush_on_sigterm()
client = make(on_error=slow, upload_size=5, exit_timeout=0.1, timeout=3600)
track(client, range(5))
thread = {thread}
thread.daemon = True
thread.start()
assert begun.wait(20)
{ending}
        """,
        expected_status=status,
    )
    assert told_numbers(output) == [0, 1, 2, 3, 4]


def test_a_handler_that_ends_the_process_at_once_comes_after_the_reports(
    server: LocalSegment,
) -> None:
    server.respond(404, times=None)
    output = run(
        server,
        SLOW_ON_ERROR
        + """
signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
segment_librato.flush_on_sigterm()
client = make(on_error=slow, upload_size=5, exit_timeout=0.1)
track(client, range(5))
assert begun.wait(20)
os.kill(os.getpid(), signal.SIGTERM)
        """,
    )
    assert told_numbers(output) == [0, 1, 2, 3, 4]


# `has_tracked` is set when several have been. Without pauses, the queue would be full at once.
TRACK_FOR_EVER = """
has_tracked = threading.Event()
def track_for_ever(client):
    n = 5
    while True:
        if client.track("user", "event", {"n": n})[0]:
            os.write(1, f"accepted {n}\\n".encode())
        n += 1
        if n == 20:
            has_tracked.set()
        time.sleep(0.001)  # other threads need the time
"""


@pytest.mark.parametrize("end", WAYS_TO_END.values(), ids=WAYS_TO_END)
def test_a_thread_that_goes_on_tracking_takes_no_report_with_it(
    server: LocalSegment, end: tuple[str, int]
) -> None:
    """It is a daemon, which the interpreter stops for good wherever it is."""
    ending, status = end
    with server.hold():
        output = run(
            server,
            SLOW_ON_ERROR
            + TRACK_FOR_EVER
            + f"""
segment_librato.flush_on_sigterm()
client = make(on_error=slow, exit_timeout=0.2, timeout=3600)
track(client, range(5))
threading.Thread(target=track_for_ever, args=(client,), daemon=True).start()
assert has_tracked.wait(20)
{ending}
            """,
            expected_status=status,
        )
    told = told_numbers(output)
    assert len(set(told)) == len(told)
    assert set(told) >= {0, 1, 2, 3, 4} | returned_numbers(output)
    assert returned_numbers(output)


def test_a_thread_that_shuts_down_while_the_main_thread_ends_takes_no_report_with_it(
    server: LocalSegment,
) -> None:
    with server.hold():
        output = run(
            server,
            SLOW_ON_ERROR
            + """
client = make(on_error=slow, exit_timeout=0.4, timeout=3600)
def work():
    track(client, range(1_000))
    tracked.set()
    client.shutdown(0.3)  # over a moment before the exit is
tracked = threading.Event()
threading.Thread(target=work, daemon=True).start()
tracked.wait()
            """,
        )
    assert told_numbers(output) == list(range(1_000))


def test_a_client_that_another_thread_makes_while_the_exit_waits_is_drained_too(
    server: LocalSegment,
) -> None:
    with server.hold():
        output = run(
            server,
            SLOW_ON_ERROR
            + """
from segment_librato.process.exit import exit_state
segment_librato.preload()
has_tracked = threading.Event()
def slow_as_the_other_thread(error, messages):
    has_tracked.wait(2)
    slow(error, messages)
client = make(on_error=slow_as_the_other_thread, exit_timeout=0.5, timeout=3600)
track(client, range(5))
def work():
    while exit_state.began is None:
        time.sleep(0.001)  # nothing tells
    late = make(on_error=slow, exit_timeout=0.5, timeout=3600)
    if late.track("user", "event", {"n": 5})[0]:
        os.write(1, b"accepted 5\\n")
    has_tracked.set()
    threading.Event().wait()
threading.Thread(target=work, daemon=True).start()
            """,
        )
    assert told_numbers(output) == [0, 1, 2, 3, 4, 5]


def test_an_on_error_that_hangs_does_not_hang_the_exit(server: LocalSegment) -> None:
    """All clients together get the grace once."""
    server.respond(404, times=None)
    output = run(
        server,
        """
        import logging
        logging.disable()
        from segment_librato.process import exit as process_exit
        process_exit.REPORT_GRACE = 0.3
        waits = []
        def grace(grace=process_exit.exit_state.grace):
            waits.append(grace())
            return waits[-1]
        process_exit.exit_state.grace = grace
        atexit.unregister(process_exit.drain_all)
        atexit.register(lambda: print(len(waits), sum(waits) < 0.4))
        atexit.register(process_exit.drain_all)
        begun = threading.Semaphore(0)
        def hang(error, messages):
            begun.release()
            threading.Event().wait()
        clients = [make(on_error=hang, upload_size=1, exit_timeout=0.1) for _ in range(2)]
        for client in clients:
            track(client, [1])
            begun.acquire()
        """,
    )
    assert output.endswith(" True\n")


def test_ctrl_c_while_the_exit_waits_for_a_report_does_not_begin_the_grace_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = iter([10.0, 11.0, 12.5, 20.0])
    monkeypatch.setattr("segment_librato.process.exit.monotonic", lambda: next(seconds))
    state = process_exit._ExitState()  # noqa: SLF001  that of this process must stay as it is
    assert [state.grace() for _ in range(4)] == [3, 2, 0.5, 0]


def test_an_on_error_that_tracks_at_each_call_ends_with_a_rejection(server: LocalSegment) -> None:
    """Each message has an outcome, and the last call ends."""
    with server.hold():
        output = run(
            server,
            """
            import logging
            logging.disable()
            def track_again(error, messages):
                print("on_error", type(error).__name__, len(messages))
                results.append(client.track("user", "event", {"n": 2})[0])
            results = []
            client = make(on_error=track_again, exit_timeout=0.1, timeout=3600)
            track(client, [1])
            """,
            before_import="""
            import atexit
            @atexit.register
            def hook():
                stats = client.stats
                print(stats.pending, stats.rejected, stats.failed, results)
            """,
        )
    *calls, last = output.splitlines()
    assert calls == ["on_error ShutdownTimeoutError 1"] * 10
    assert last == f"0 1 10 {[True] * 9 + [False]}"
