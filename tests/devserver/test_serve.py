"""How a server ends that runs until a signal: after its greeting, and however long that takes."""

from __future__ import annotations

import os

import pytest
from support.debugger import start

pytestmark = [pytest.mark.once, pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")]

IMPORTS = """
import os, signal, threading, time
from segment_librato.devserver import terminal
from segment_librato.devserver.command import serve

def interrupt(*_):
    os.kill(os.getpid(), signal.SIGINT)
"""


def lines_of(script: str) -> list[str]:
    """Return what a script writes that ends as it should."""
    with start("-c", f"{IMPORTS}{script}") as running:
        assert running.wait() == (0, "")
    return running.lines


def test_a_signal_during_the_start_ends_it_quietly() -> None:
    script = """
def start():
    interrupt()
    print("not reached")

serve(start, print, print)
"""
    assert lines_of(script) == []


def test_a_signal_does_not_interrupt_the_greeting_which_may_hold_a_lock() -> None:
    script = """
condition = threading.Condition()

def greet(_):
    condition.acquire()  # `with condition` is as much, in Python: a signal may come after it
    interrupt()
    print("greeting")
    condition.release()

def end(_):
    with condition:
        print("end", flush=True)

serve(object, greet, end)
"""
    assert lines_of(script) == ["greeting\n", "end\n"]


def test_a_greeting_that_nobody_reads_does_not_keep_it_from_ending() -> None:
    script = """
reading, writing = os.pipe()

def greet(_):
    os.dup2(writing, 1)
    interrupt()
    while True:
        os.write(1, b"x" * 65536)

serve(object, greet, print)
"""
    assert lines_of(script) == []


def test_what_the_greeting_raises_reaches_the_caller() -> None:
    script = """
def greet(_):
    raise OSError("a full disk")

try:
    serve(object, greet, print)
except OSError as error:
    print(error)
"""
    assert lines_of(script) == ["a full disk\n"]


def test_an_end_that_waits_for_no_reader_may_take_long() -> None:
    script = """
terminal.MAX_UNREAD_STEPS = 2

def end(_):
    time.sleep(10 * terminal.STEP)
    print("end", flush=True)

serve(object, interrupt, end)
"""
    assert lines_of(script) == ["end\n"]


def test_an_end_that_never_comes_is_not_waited_for() -> None:
    script = """
terminal.MAX_FINISH_STEPS = 2
serve(object, interrupt, lambda _: threading.Event().wait())
"""
    assert lines_of(script) == []


def test_what_the_end_raises_reaches_the_caller() -> None:
    script = """
def end(_):
    raise OSError("a full disk")

try:
    serve(object, interrupt, end)
except OSError as error:
    print(error)
"""
    assert lines_of(script) == ["a full disk\n"]
