"""Exit, fork and Ctrl-C, with real processes, forks and signals."""

from __future__ import annotations

import http
import os
import signal
import socket
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest
import requests
import urllib3
from support.interruptions import INTERRUPTIONS, SoftTimeLimit, interrupted
from support.raw_server import FOREVER, RawServer
from support.real_time import in_real_time
from support.script import run, sequence_numbers, start, wait_until_ready
from support.signal_handlers import call_with_handler

import segment_librato
import segment_librato.client
import segment_librato.queue.ledger
import segment_librato.queue.message_queue
from segment_librato import Client, ClientClosedError, ConfigError, ShutdownTimeoutError
from segment_librato.process import imports

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import CodeType, FrameType

    from support.errors import Errors

    from segment_librato.devserver import LocalSegment

    MakeClient = Callable[..., Client]

LONG = 60.0
TELL_WHEN_THE_EXIT_WAITS = """
from segment_librato.process.clock import Clock
class TellingClock(Clock):
    def wait(self, changed, deadline):
        if threading.current_thread() is threading.main_thread() and not told:
            told.append(True)
            os.write(1, b"ready\\n")
        return super().wait(changed, deadline)
told = []
Client._clock = TellingClock()
"""
HEADERS_OF_SUCCESS = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


# Import


def test_neither_the_import_nor_a_client_loads_http_and_the_first_message_does(
    server: LocalSegment,
) -> None:
    output = run(
        server,
        """
        def loaded():
            print([name for name in ("requests", "urllib3", "backoff") if name in sys.modules])
        loaded()
        client = make(send=False)
        client.track("user", "event")
        loaded()
        client = make()
        loaded()
        track(client, range(1))
        loaded()
        modules = set(sys.modules)
        client.flush()
        print(sorted(set(sys.modules) - modules))
        """,
    )
    all_of_it = "['requests', 'urllib3', 'backoff']"
    assert output.splitlines() == ["[]", "[]", "[]", all_of_it, "[]"]


# Exit


def test_everything_is_delivered_at_exit(server: LocalSegment) -> None:
    server.respond(200, delay=0.05, times=None)
    run(server, "client = make(); track(client, range(5_000))")
    assert sequence_numbers(server) == list(range(5_000))


@pytest.mark.parametrize(
    "ending, status",
    [
        ("sys.exit(3)", 3),
        ("raise KeyboardInterrupt", -signal.SIGINT),
        ("raise ValueError", 1),
        ("del client", 0),
        ("threading.Thread(target=track, args=(client, range(10, 20))).start()", 0),
    ],
)
def test_however_the_interpreter_ends(server: LocalSegment, ending: str, status: int) -> None:
    run(server, f"client = make(); track(client, range(10)); {ending}", expected_status=status)
    assert set(sequence_numbers(server)) >= set(range(10))


def test_what_is_left_at_the_exit_timeout_goes_to_on_error(server: LocalSegment) -> None:
    with server.hold():  # for longer than the test waits for the end of the process
        output = run(
            server,
            """
            import logging
            logging.basicConfig(stream=sys.stdout)
            clients = [make(exit_timeout=0.3, upload_size=2, timeout=3600) for _ in range(3)]
            for client in clients:
                track(client, range(5))
            """,
        )
    assert output.count("on_error ShutdownTimeoutError 5\n") == 3
    reason = f"time ran out before delivery; no response yet from 127.0.0.1:{server.port}"
    assert output.count(f"messages not delivered: 5; {reason}\n") == 3


def test_what_exit_hooks_track_is_delivered(server: LocalSegment) -> None:
    """Hooks run in reverse order: this one after ours, with no new thread from 3.12 on."""
    run(
        server,
        """
        client = make()
        @atexit.register
        def hook():
            track(client, range(3))
        """,
    )
    assert sequence_numbers(server) == [0, 1, 2]


@pytest.mark.parametrize("is_first", [True, False])
def test_the_first_use_of_all_may_be_in_an_exit_hook(server: LocalSegment, is_first: bool) -> None:
    """With no client before, and from 3.12 on with no thread to be had."""
    hook = """
        import atexit
        @atexit.register
        def hook():
            segment_librato.write_key, segment_librato.host = "test-key", sys.argv[1]
            segment_librato.track("user", "event", {"n": 1})
        """
    run(server, "" if is_first else hook, before_import=hook if is_first else "")
    assert sequence_numbers(server) == [1]


def test_what_an_exit_hook_tracks_after_ours_is_delivered(server: LocalSegment) -> None:
    run(
        server,
        "client = make(); track(client, range(2))",
        before_import="""
        import atexit
        @atexit.register
        def hook():
            track(client, range(10, 13))
        """,
    )
    assert sequence_numbers(server) == [0, 1, 10, 11, 12]


def test_what_an_exit_hook_tracks_while_a_request_hangs_goes_to_on_error(
    server: LocalSegment,
) -> None:
    """The thread that sends is there as ever, but the time is over."""
    with server.hold():
        output = run(
            server,
            """
            import logging
            logging.disable()
            client = make(exit_timeout=0.1, upload_size=2, timeout=3600)
            track(client, range(2))
            """,
            before_import="""
            import atexit
            @atexit.register
            def hook():
                print("after ours", flush=True)
                track(client, range(10, 13))
            """,
        )
    told = [
        "on_error ShutdownTimeoutError 2",
        "after ours",
        *["on_error ShutdownTimeoutError 1"] * 3,
    ]
    assert output.splitlines() == told


def test_a_client_that_was_never_used_does_not_delay_the_exit(server: LocalSegment) -> None:
    output = run(
        server,
        """
        from segment_librato.process import exit as process_exit
        client = make()
        def is_quick():
            used = make(); track(used, range(1)); used.flush()
            process_exit.exit_state.began = None
            began = time.perf_counter()
            process_exit.drain_all()
            return time.perf_counter() - began < 0.05
        print(any(is_quick() for _ in range(10)))  # one that is not may be the machine's fault
        """,
    )
    assert output == "True\n"


def test_ctrl_c_while_the_exit_waits_ends_the_wait_and_hands_over_the_rest(
    server: LocalSegment,
) -> None:
    with server.hold():
        process = start(
            server,
            TELL_WHEN_THE_EXIT_WAITS
            + """
clients = [make(exit_timeout=3600) for _ in range(2)]
for client in clients:
    track(client, range(3))
            """,
        )
        wait_until_ready(process)
        assert server.wait_until(lambda: server.held == 2)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=240)
    assert output.splitlines() == ["on_error ShutdownTimeoutError 3"] * 2
    assert "Traceback" not in errors
    reason = f"Ctrl-C ended the wait before delivery; no response yet from 127.0.0.1:{server.port}"
    assert errors.count(f"messages not delivered: 3; {reason}\n") == 2
    assert process.returncode == 0


def test_ctrl_c_twice_at_the_exit_loses_nothing_in_silence(server: LocalSegment) -> None:
    """The second one ends only its own call; later calls do not wait either."""
    with server.hold():
        process = start(
            server,
            TELL_WHEN_THE_EXIT_WAITS
            + """
def interrupt(error, messages):
    raise KeyboardInterrupt
one, other = make(exit_timeout=3600, on_error=interrupt), make()
track(one, range(1)); track(other, range(1))
            """,
            before_import="""
            import atexit, logging
            logging.disable()
            @atexit.register
            def hook():
                track(other, range(10, 12))
            """,
        )
        wait_until_ready(process)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=240)
    assert output.splitlines() == ["on_error ShutdownTimeoutError 1"] * 3


def test_an_on_error_that_exits_does_not_keep_other_clients_from_delivering(
    server: LocalSegment,
) -> None:
    process = start(
        server,
        """
        def leave(error, messages):
            sys.exit("an exit in on_error")
        one = make(host="http://127.0.0.1:9", on_error=leave, exit_timeout=0)
        other = make()
        track(one, range(1)); track(other, range(10, 12))
        """,
    )
    process.communicate(timeout=240)
    assert sequence_numbers(server) == [10, 11]


def test_an_on_error_that_never_stops_exiting_does_not_keep_other_clients_from_the_exit(
    server: LocalSegment,
) -> None:
    server.respond(404, times=None)
    output = run(
        server,
        """
        import logging
        logging.disable()
        from segment_librato.delivery.consumer import Consumer
        def start(consumer):
            raise RuntimeError("no thread")
        Consumer.start = start  # so that the exit delivers itself, one message at a time
        one = make(on_error=lambda *_: sys.exit("again"), upload_size=1)
        other = make()
        track(one, range(150)); track(other, [1000])
        """,
    )
    assert output == "on_error APIError 1\n"


def test_without_on_error_and_logging_a_loss_is_told_on_stderr(server: LocalSegment) -> None:
    server.respond(404)
    process = start(server, "client = make(on_error=None); track(client, range(2))")
    _, errors = process.communicate(timeout=240)
    reason = f"127.0.0.1:{server.port} answered 404 to a POST to /v1/batch; check `host`"
    assert errors == f"messages not delivered: 2; {reason}\n"


@pytest.mark.parametrize(
    "ending, status",
    [
        ("os._exit(0)", 0),
        ("os.execv(sys.executable, [sys.executable, '-c', ''])", 0),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        (
            "signal.signal(signal.SIGHUP, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGHUP)",
            -signal.SIGHUP,  # which nohup has a process ignore
        ),
    ],
)
def test_an_end_that_runs_no_python_loses_what_waits(
    server: LocalSegment, ending: str, status: int
) -> None:
    run(server, f"client = make(); track(client, range(3)); {ending}", expected_status=status)
    assert server.messages == []


def test_a_handler_of_sighup_that_exits_delivers(server: LocalSegment) -> None:
    run(
        server,
        """
        signal.signal(signal.SIGHUP, lambda number, frame: sys.exit(3))
        client = make()
        track(client, range(3))
        os.kill(os.getpid(), signal.SIGHUP)
        """,
        expected_status=3,
    )
    assert sequence_numbers(server) == [0, 1, 2]


@pytest.mark.parametrize("use", ["", "track(client, range(1)); client.flush()"])
@pytest.mark.parametrize("options", ["", "sync_mode=True"])
def test_a_del_that_tracks_while_the_modules_go_ends(
    server: LocalSegment, use: str, options: str
) -> None:
    """A thread that is started then never runs before Python 3.12, and cannot be from then on."""
    process = start(
        server,
        f"""
        client = make({options})
        {use}
        class Last:
            def __del__(self, client=client):
                client.track("user", "event", {{"n": 9}})
                os.write(1, b"end")
        last = Last()
        last.itself = last
        """,
    )
    output, _ = process.communicate(timeout=240)
    assert "end" in output
    assert process.returncode == 0


# SIGTERM

FLUSH_ON_SIGTERM = """
    segment_librato.flush_on_sigterm()
"""
TRACK_AND_WAIT = """
    client = make()
    track(client, range(3))
    wait_for_signal()
"""


def terminate(server: LocalSegment, script: str) -> tuple[int, list[str]]:
    """Run a script up to where it says that it is ready; return how SIGTERM ends it."""
    process = start(server, script)
    wait_until_ready(process)
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=240)
    assert "Traceback" not in errors
    return process.returncode, output.splitlines()


def test_without_flush_on_sigterm_python_ends_at_once(server: LocalSegment) -> None:
    assert terminate(server, TRACK_AND_WAIT) == (-signal.SIGTERM, [])
    assert server.messages == []


def test_sigterm_delivers_what_waits_and_ends_the_process_by_the_signal(
    server: LocalSegment,
) -> None:
    assert terminate(server, FLUSH_ON_SIGTERM + TRACK_AND_WAIT) == (-signal.SIGTERM, [])
    assert sequence_numbers(server) == [0, 1, 2]


def test_sigterm_hands_over_what_there_is_no_time_for(server: LocalSegment) -> None:
    script = FLUSH_ON_SIGTERM + TRACK_AND_WAIT.replace("make()", "make(exit_timeout=0.1)")
    with server.hold():
        outcome = terminate(server, script)
    assert outcome == (-signal.SIGTERM, ["on_error ShutdownTimeoutError 3"])


def test_a_second_sigterm_waits_for_nothing(server: LocalSegment) -> None:
    script = FLUSH_ON_SIGTERM + TRACK_AND_WAIT.replace("make()", "make(exit_timeout=3600)")
    with server.hold():
        process = start(server, script)
        wait_until_ready(process)
        process.send_signal(signal.SIGTERM)
        assert server.wait_until(lambda: server.held == 1)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=240)
    assert process.returncode == -signal.SIGTERM


def test_the_handler_that_was_there_before_is_called_when_all_is_delivered(
    server: LocalSegment,
) -> None:
    outcome = terminate(
        server,
        """
        client = make()
        def handler(number, frame):
            print("handler", number == signal.SIGTERM, client.stats.delivered, flush=True)
            track(client, range(10, 12))
            sys.exit(3)
        signal.signal(signal.SIGTERM, handler)
        segment_librato.flush_on_sigterm()
        segment_librato.flush_on_sigterm()
        track(client, range(3))
        wait_for_signal()
        """,
    )
    assert outcome == (3, ["handler True 3"])
    assert sequence_numbers(server) == [0, 1, 2, 10, 11]


def test_a_sigterm_that_was_ignored_delivers_and_is_ignored(server: LocalSegment) -> None:
    outcome = terminate(
        server,
        """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        segment_librato.flush_on_sigterm()
        client = make()
        track(client, range(3))
        wait_for_signal()
        print("still here", client.stats.delivered)
        """,
    )
    assert outcome == (0, ["still here 3"])


def test_handlers_that_call_one_another_end(server: LocalSegment) -> None:
    """Ours, one of the application that hands on to it, and ours again."""
    outcome = terminate(
        server,
        """
        client = make()
        segment_librato.flush_on_sigterm()
        ours = signal.getsignal(signal.SIGTERM)
        def handler(number, frame):
            print("handler", flush=True)
            track(client, range(10, 12))
            ours(number, frame)
        signal.signal(signal.SIGTERM, handler)
        segment_librato.flush_on_sigterm()
        track(client, range(3))
        wait_for_signal()
        """,
    )
    assert outcome == (-signal.SIGTERM, ["handler"])
    assert sequence_numbers(server) == [0, 1, 2, 10, 11]


def test_ctrl_c_while_sigterm_delivers_does_not_cancel_it(server: LocalSegment) -> None:
    with server.hold():
        process = start(
            server,
            """
            signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(3))
            segment_librato.flush_on_sigterm()
            client = make(exit_timeout=3600)
            track(client, range(3))
            wait_for_signal()
            """,
        )
        wait_until_ready(process)
        process.send_signal(signal.SIGTERM)
        assert server.wait_until(lambda: server.held == 1)
        process.send_signal(signal.SIGINT)
        server.release()
        process.communicate(timeout=240)
    assert process.returncode == 3


def test_sigterm_ends_the_first_process_of_a_container_too(server: LocalSegment) -> None:
    """The kernel keeps from it the signals that it does not handle."""
    script = """
    os.kill = lambda pid, number: None  # as far as such a process can tell
"""
    outcome = terminate(server, script + FLUSH_ON_SIGTERM + TRACK_AND_WAIT)
    assert outcome == (128 + signal.SIGTERM, [])
    assert sequence_numbers(server) == [0, 1, 2]


@pytest.mark.parametrize("how", ["sync_mode=True", "thread_fails"])
def test_sigterm_while_the_main_thread_delivers_loses_nothing_in_silence(
    server: LocalSegment, how: str
) -> None:
    options = "sync_mode=True" if how == "sync_mode=True" else ""
    with server.hold():
        process = start(
            server,
            f"""
            import logging
            from segment_librato.delivery.consumer import Consumer
            logging.getLogger("segment").addHandler(logging.NullHandler())
            if {how == "thread_fails"}:
                def start(consumer):
                    raise RuntimeError("no thread")
                Consumer.start = start
            segment_librato.flush_on_sigterm()
            client = make(exit_timeout=0.1, {options})
            os.write(1, b"ready\\n")
            track(client, range(1))
            client.flush()
            """,
        )
        wait_until_ready(process)
        assert server.wait_until(lambda: server.held == 1)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=240)
    assert errors == ""
    assert process.returncode == 128 + signal.SIGTERM
    assert output == "on_error DeliveryError 1\n"


def test_sigterm_while_the_exit_waits_does_not_begin_the_wait_again(server: LocalSegment) -> None:
    with server.hold():
        process = start(
            server,
            """
            segment_librato.flush_on_sigterm()
            from segment_librato.process import exit as process_exit
            from segment_librato.process.clock import Clock
            class StoppedClock(Clock):
                seconds = 0
                def now(self):
                    return self.seconds
                def wait(self, changed, deadline):
                    if threading.current_thread() is threading.main_thread():
                        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:  # it came
                            self.seconds = 10
                        elif not self.seconds:
                            self.seconds = 4
                            os.write(1, b"ready\\n")
                    return self.seconds < deadline and changed.wait()
            Client._clock = StoppedClock()
            process_exit.monotonic = Client._clock.now
            client = make(exit_timeout=10)
            track(client, range(3))
            """,
        )
        wait_until_ready(process)
        assert server.wait_until(lambda: server.held == 1)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=240)
    assert process.returncode == -signal.SIGTERM
    assert output == "on_error ShutdownTimeoutError 3\n"


def test_flush_on_sigterm_is_rejected_outside_the_main_thread() -> None:
    rejections: list[str] = []

    def attempt() -> None:
        with pytest.raises(ConfigError) as rejection:
            segment_librato.flush_on_sigterm()
        rejections.append(str(rejection.value))

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert rejections == ["flush_on_sigterm: expected to be called in the main thread"]


def test_flush_on_sigterm_replaces_no_handler_that_it_cannot_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that embeds Python has such; `getsignal` says None then."""
    monkeypatch.setattr(signal, "getsignal", lambda _: None)
    with pytest.raises(ConfigError, match="expected a handler that Python can call"):
        segment_librato.flush_on_sigterm()


# No thread to be had


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of address space")
def test_without_a_thread_a_flush_sends_on_its_own_thread(server: LocalSegment) -> None:
    output = run(
        server,
        """
        import logging, pathlib, resource
        logging.basicConfig(stream=sys.stdout)
        client = make()
        size = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + (200 << 20), -1))
        threading.stack_size(1 << 30)
        track(client, range(3))
        print(threading.active_count(), client.stats.pending)
        print(client.flush(timeout=20), client.stats.delivered)
        track(client, range(3, 5))
        print(client.shutdown(timeout=20), client.stats.delivered)
        """,
    )
    assert output.splitlines() == [
        "WARNING:segment:no thread could be started: can't start new thread",
        "1 3",
        "True 3",
        "True 5",
    ]
    assert sequence_numbers(server) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "response", [b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\nX: ", HEADERS_OF_SUCCESS]
)
@in_real_time
def test_without_a_thread_a_deadline_ends_the_request_that_is_under_way(
    no_threads: None, errors: Errors, response: bytes
) -> None:
    errors.calls.clear()
    with RawServer(lambda: [response, FOREVER]) as raw:
        client = Client("test-key", raw.host, on_error=errors, timeout=LONG)
        client.track("user", "event")
        began = time.monotonic()
        assert client.shutdown(timeout=0.2)
        assert time.monotonic() - began < 2
    assert errors.types == ([] if b"200" in response else [ShutdownTimeoutError])
    assert client.stats.pending == 0


# Interruptions


def check_outcomes(server: LocalSegment, client: Client, errors: Errors, place: int) -> None:
    """Check that each message tracked here that was accepted has one outcome, of one request."""
    stats = client.stats
    sent = {one["messageId"] for one in server.messages if one["event"] == f"place {place}"}
    assert stats.pending == 0, f"place {place}"
    assert stats.accepted == stats.delivered + stats.failed, f"place {place}"
    assert stats.failed == len(errors.message_ids) == len({*errors.message_ids}), f"place {place}"
    assert stats.accepted == len(sent | {*errors.message_ids}), f"place {place}"
    assert stats.retries == 0, f"place {place}"
    assert server.duplicates == 0, f"place {place}"
    errors.calls.clear()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed")  # a socket that is not in its connection yet
@pytest.mark.parametrize("exceptions", INTERRUPTIONS)
@pytest.mark.parametrize("sync_mode", [False, True])
@pytest.mark.parametrize("state", ["first", "prepared", "started"])
def test_an_interruption_anywhere_in_a_call_leaves_the_client_usable(
    server: LocalSegment,
    make_client: MakeClient,
    errors: Errors,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    sync_mode: bool,
    exceptions: tuple[type[BaseException], ...],
) -> None:
    place = 0
    got_that_far = True
    while got_that_far:
        place += 5 if state == "first" else 1  # some 1,000 places
        client = make_client(upload_interval=LONG, sync_mode=sync_mode)
        if state == "first":  # of the process
            monkeypatch.setattr(imports._imports, "_times_made", 0)  # noqa: SLF001  no other way
        track_here = partial(client.track, "user", f"place {place}", {"n": 1})
        if state == "started":
            track_here()
        got_that_far = interrupted(track_here, place, exceptions)
        assert track_here()[0], f"place {place}"
        assert client.flush(timeout=10), f"place {place}"
        check_outcomes(server, client, errors, place)
        assert client.shutdown(timeout=10), f"place {place}"
    assert place > 20


@pytest.mark.parametrize("exceptions", INTERRUPTIONS)
@pytest.mark.parametrize("max_queue_size", [10_000, 1], ids=["in memory, too", "on disk only"])
def test_an_interruption_anywhere_in_a_call_with_a_spool_leaves_the_client_usable(
    server: LocalSegment,
    make_client: MakeClient,
    errors: Errors,
    tmp_path: Path,
    max_queue_size: int,
    exceptions: tuple[type[BaseException], ...],
) -> None:
    place = 0
    got_that_far = True
    while got_that_far:
        place += 1
        # What an interrupted call has written may be delivered by another client of the folder.
        spool = tmp_path / str(place)
        client = make_client(
            upload_interval=LONG, upload_size=100, max_queue_size=max_queue_size, spool=spool
        )
        track_here = partial(client.track, "user", f"place {place}", {"n": 1})
        track_here()
        got_that_far = interrupted(track_here, place, exceptions)
        assert track_here()[0], f"place {place}"
        assert client.stats.spool is not None
        assert client.stats.spool.errors == 0, f"place {place}"
        assert client.flush(timeout=10), f"place {place}"
        check_outcomes(server, client, errors, place)
        assert client.shutdown(timeout=10), f"place {place}"
    assert place > 20


@pytest.mark.slow
def test_ctrl_c_anywhere_in_a_call_that_waits_for_room_leaves_the_client_usable(
    server: LocalSegment, make_client: MakeClient
) -> None:
    place = 0
    got_that_far = True
    while got_that_far:
        place += 1
        client = make_client(max_queue_size=1, upload_size=1, block_on_full=0.005)
        with server.hold():
            for number in range(2):
                client.track("user", "event", {"n": number})
                assert server.wait_until(lambda: server.held == 1)
            got_that_far = interrupted(lambda: client.track("user", "event"), place)  # noqa: B023
            assert not client.track("user", "event")[0], f"place {place}"
        assert client.flush(timeout=10), f"place {place}"
        assert client.track("user", "event", {"n": 2})[0], f"place {place}"
        assert client.flush(timeout=10), f"place {place}"
        stats = client.stats
        assert stats.delivered == stats.accepted == 3, f"place {place}"
        assert client.shutdown(timeout=10), f"place {place}"
    assert place > 50


def is_http(code: CodeType) -> bool:
    """Return whether code is of what sends, but not of what is asked while an object goes."""
    modules = (requests, urllib3, http, socket)
    paths = tuple(str(module.__file__).removesuffix("__init__.py") for module in modules)
    return code.co_filename.startswith(paths) and code.co_name not in {"closed", "isclosed"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed")  # a socket that is not in its connection yet
@pytest.mark.parametrize("exceptions", [(KeyboardInterrupt,), (SoftTimeLimit, TimeoutError)])
def test_an_interruption_anywhere_in_a_request_reaches_the_caller(
    server: LocalSegment,
    make_client: MakeClient,
    errors: Errors,
    exceptions: tuple[type[BaseException], ...],
) -> None:
    """But `requests` and urllib3 take some KeyError, TypeError or ValueError for their own."""
    place = 0
    got_that_far = True
    while got_that_far:
        place += 7  # of some 1,000
        client = make_client(sync_mode=True)
        track_here = partial(client.track, "user", f"place {place}", {"n": 1})
        got_that_far = interrupted(track_here, place, exceptions, is_http)
        assert track_here()[0], f"place {place}"
        check_outcomes(server, client, errors, place)
    assert place > 100


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed")  # a socket that was being closed
@pytest.mark.parametrize("exceptions", INTERRUPTIONS)
@pytest.mark.parametrize("threads", [True, False])
@pytest.mark.parametrize("status", [200, pytest.param(404, marks=pytest.mark.once)])
@pytest.mark.parametrize("method", ["flush", "join", "shutdown"])
def test_an_interruption_anywhere_in_a_flush_or_shutdown_loses_nothing(
    request: pytest.FixtureRequest,
    server: LocalSegment,
    make_client: MakeClient,
    errors: Errors,
    method: str,
    status: int,
    threads: bool,
    exceptions: tuple[type[BaseException], ...],
) -> None:
    if not threads:
        request.getfixturevalue("no_threads")
    server.respond(status, times=None)
    place = 0
    got_that_far = True
    while got_that_far:
        place += 1 if KeyboardInterrupt in exceptions else 5  # of some 500
        client = make_client(upload_interval=LONG)
        for _ in range(3):
            client.track("user", f"place {place}")
        got_that_far = interrupted(getattr(client, method), place, exceptions)
        assert client.flush(timeout=10), f"place {place}"
        assert client.shutdown(timeout=10), f"place {place}"
        check_outcomes(server, client, errors, place)
    assert place > 20


@pytest.mark.parametrize("method", ["track", "flush", "join"])
@pytest.mark.parametrize("started", [False, True])
def test_a_signal_handler_may_use_the_client_at_any_line_of_a_call(
    server: LocalSegment, make_client: MakeClient, errors: Errors, started: bool, method: str
) -> None:
    line = 0
    got_that_far = True
    while got_that_far:
        line += 3
        client = make_client(upload_interval=LONG)
        if started:
            client.track("user", "event", {"n": -1})
        results: list[object] = []

        def handler(client: Client = client, results: list[object] = results) -> None:
            arguments = ("user", "event", {"n": 2}) if method == "track" else (10,)
            results.append(getattr(client, method)(*arguments))

        got_that_far = call_with_handler(
            lambda client=client: client.track("user", "event", {"n": 1}),  # type: ignore[misc]
            line,
            handler,
            step="line",
        )
        assert client.flush(timeout=10), f"line {line}"
        stats = client.stats
        assert stats.pending == 0
        assert errors.calls == [] or errors.types == [ClientClosedError], f"line {line}"
        errors.calls.clear()
        assert stats.failed == 0
        assert stats.delivered + stats.rejected == started + 1 + (
            got_that_far and method == "track"
        )
        if method != "track" and got_that_far:
            assert results == [True], f"line {line}"
        assert client.shutdown(timeout=10), f"line {line}"
    assert line > 50


def test_a_signal_handler_may_track_while_the_lock_is_held(
    server: LocalSegment, make_client: MakeClient
) -> None:
    client = make_client(upload_interval=LONG)

    def handler(number: int, frame: FrameType | None) -> None:
        client.track("user", "event", {"n": 1})

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with client.queue.lock:
            os.kill(os.getpid(), signal.SIGUSR1)
            while client.queue.empty():
                pass
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert client.flush(timeout=10)
    assert sequence_numbers(server) == [1]


def test_ctrl_c_during_flush_leaves_the_client_usable(
    server: LocalSegment, make_client: MakeClient, errors: Errors
) -> None:
    client = make_client(upload_size=1)
    with server.hold():
        client.track("user", "event", {"n": 1})
        assert server.wait_until(lambda: server.held == 1)
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))

        def flush() -> None:
            timer.start()  # within `raises`, as the flush may come late
            client.flush(timeout=30)

        with pytest.raises(KeyboardInterrupt):
            flush()
        timer.join()
    client.track("user", "event", {"n": 2})
    assert client.flush(timeout=10)
    assert sequence_numbers(server) == [1, 2]
    assert errors.calls == []
