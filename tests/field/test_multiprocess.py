"""multiprocess, the fork of multiprocessing that pathos and others use."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import multiprocess
import pytest
from support.script import fork_warning, run, sequence_numbers

if TYPE_CHECKING:
    from segment_librato.devserver import LocalSegment

START = """
import multiprocess

def work(n, say_ready=None):
    import segment_librato, sys  # pickled by value
    segment_librato.write_key, segment_librato.host = "test-key", sys.argv[1]
    segment_librato.upload_interval = 60
    segment_librato.track("user", "event", {"n": n})
    if say_ready:
        wait_for_signal(say_ready)

"""


@pytest.mark.parametrize("method", multiprocess.get_all_start_methods())
def test_children_deliver_when_they_end(server: LocalSegment, method: str) -> None:
    run(
        server,
        START
        + f"""
context = multiprocess.get_context("{method}")
children = [context.Process(target=work, args=(number,)) for number in range(8)]
for child in children:
    child.start()
for child in children:
    child.join()
    assert child.exitcode == 0
        """,
        *fork_warning,
    )
    assert sorted(sequence_numbers(server)) == list(range(8))


@pytest.mark.parametrize("ending", ["pool.close(); pool.join()", "pass"])
def test_a_pool_delivers_however_it_ends(server: LocalSegment, ending: str) -> None:
    run(
        server,
        START
        + f"""
with multiprocess.get_context("fork").Pool(2) as pool:
    pool.map(work, range(8))
    {ending}
        """,
        *fork_warning,
    )
    assert sorted(sequence_numbers(server)) == list(range(8))


def test_a_child_that_is_terminated_delivers_and_ends_by_the_signal(server: LocalSegment) -> None:
    output = run(
        server,
        START
        + """
context = multiprocess.get_context("fork")
is_ready = context.Event()
child = context.Process(target=work, args=(1, is_ready.set))
child.start()
assert is_ready.wait(30)
child.terminate()
child.join()
print(child.exitcode)
        """,
        *fork_warning,
    )
    assert output == f"{-signal.SIGTERM}\n"
    assert sequence_numbers(server) == [1]
