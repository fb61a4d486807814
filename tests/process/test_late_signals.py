"""SIGTERM in a child of `multiprocessing` whose main thread waits in C and does not look."""

from __future__ import annotations

import signal
import socket
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest
from support.script import fork_warning, run, sequence_numbers

from segment_librato.process.late_signals import Repeater

if TYPE_CHECKING:
    from segment_librato.devserver import LocalSegment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is repeated there")

PARENT = """
    import multiprocessing
    def miss(number):
        '''Get a signal, and wait in C without a look at signals in between.'''
        reader, _ = os.pipe()
        main = threading.get_native_id()
        def waits():
            with open(f"/proc/self/task/{main}/syscall") as file:
                return file.read().split()[1:2] == [hex(reader)]
        def is_pending():
            with open("/proc/self/status") as file:
                pending = next(line for line in file if line.startswith("ShdPnd"))
            return int(pending.split()[1], 16) >> number - 1 & 1
        def send():
            while not waits():
                pass
            os.kill(os.getpid(), number)
            while is_pending():
                pass
            signal.siginterrupt(number, True)  # the call has gone on; from now on, a signal ends it
        signal.siginterrupt(number, False)
        threading.Thread(target=send, daemon=True).start()
        os.read(reader, 1)
    context = multiprocessing.get_context("fork")
    def run_child(work):
        child = context.Process(target=work)
        child.start()
        child.join(100)
        print("child", child.exitcode, flush=True)
        child.kill()
"""


def run_child(server: LocalSegment, work: str) -> list[str]:
    """Run a function `work` in a child; return what was written, its status last."""
    script = textwrap.dedent(PARENT) + textwrap.dedent(work) + "run_child(work)\n"
    return run(server, script, *fork_warning).splitlines()


def test_a_signal_that_comes_too_late_for_the_last_look_takes_effect(server: LocalSegment) -> None:
    output = run_child(
        server,
        """
        client = make()
        def work():
            track(client, range(3))
            miss(signal.SIGTERM)
        """,
    )
    assert output == [f"child {-signal.SIGTERM}"]
    assert sequence_numbers(server) == [0, 1, 2]


def test_in_a_child_of_such_a_child_too(server: LocalSegment) -> None:
    output = run_child(
        server,
        """
        client = make()
        def inner():
            track(client, [1])
            miss(signal.SIGTERM)
        def work():
            track(client, [0])
            run_child(inner)
        """,
    )
    assert output == [f"child {-signal.SIGTERM}", "child 0"]
    assert sorted(sequence_numbers(server)) == [0, 1]


def test_a_handler_of_the_application_is_called_once_for_each_signal(server: LocalSegment) -> None:
    output = run_child(
        server,
        """
        client = make()
        signals = []
        def handler(number, frame):
            signals.append(number)
            raise InterruptedError
        signal.signal(signal.SIGTERM, handler)
        segment_librato.flush_on_sigterm()
        def work():
            track(client, [0])
            for way in [miss, lambda number: os.kill(os.getpid(), number)] * 5:
                try:
                    way(signal.SIGTERM)
                except InterruptedError:
                    print(len(signals), flush=True)
            time.sleep(0.3)  # a repetition that nobody waits for would come now
            print(len(signals), flush=True)
            signal.signal(signal.SIGTERM, lambda *_: print("mine", flush=True))
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.3)  # a repetition would come now
        """,
    )
    assert output == [*map(str, range(1, 11)), "10", "mine", "child 0"]
    assert sequence_numbers(server) == [0]


def test_a_signal_for_a_child_whose_hooks_have_not_run_does_not_end_the_parent(
    server: LocalSegment,
) -> None:
    output = run_child(
        server,
        """
        import ctypes
        client = make()
        def work():
            track(client, [0])
            child = ctypes.PyDLL(None).fork()  # it shares the descriptor: no hook has run
            if child == 0:
                signal.raise_signal(signal.SIGTERM)
            print(os.waitpid(child, 0)[1] == signal.SIGTERM, flush=True)
            time.sleep(0.3)  # a repetition would come now
            print("goes on", flush=True)
        """,
    )
    assert output == ["True", "goes on", "child 0"]
    assert sequence_numbers(server) == [0]


def test_other_signals_of_the_child_are_as_they_were(server: LocalSegment) -> None:
    output = run_child(
        server,
        """
        client = make()
        def work():
            signal.signal(signal.SIGUSR1, lambda *_: print("handled", flush=True))
            track(client, [0])
            os.kill(os.getpid(), signal.SIGUSR1)
            child = os.fork()
            if child == 0:
                print("descriptor", signal.set_wakeup_fd(-1), flush=True)
                os._exit(0)
            os.waitpid(child, 0)
            time.sleep(0.3)  # a repetition would come now
        """,
    )
    assert output == ["handled", "descriptor -1", "child 0"]


def test_a_descriptor_that_something_else_has_is_left_to_it(server: LocalSegment) -> None:
    output = run_child(
        server,
        """
        client = make()
        def work():
            _, writer = os.pipe()
            os.set_blocking(writer, False)
            signal.set_wakeup_fd(writer)
            track(client, [0])
            names = [thread.name for thread in threading.enumerate()]
            print(signal.set_wakeup_fd(-1) == writer, "segment-signals" in names, flush=True)
        """,
    )
    assert output == ["True False", "child 0"]


def test_without_a_thread_the_handler_does_its_work(server: LocalSegment) -> None:
    output = run_child(
        server,
        """
        client = make()
        def work():
            start = threading.Thread.start
            def refuse(thread):
                if thread.name == "segment-signals":
                    raise RuntimeError("can't start new thread")
                start(thread)
            threading.Thread.start = refuse
            track(client, [0])
            threading.Thread.start = start
            print(signal.set_wakeup_fd(-1), flush=True)
            os.kill(os.getpid(), signal.SIGTERM)
        """,
    )
    assert output == ["-1", f"child {-signal.SIGTERM}"]
    assert sequence_numbers(server) == [0]


def test_where_a_sender_has_no_name_nothing_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "SO_PASSCRED")
    Repeater(signal.SIGTERM, lambda *_: None).start()
    assert signal.set_wakeup_fd(-1) == -1
