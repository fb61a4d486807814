"""Forks, with real ones: parent and child deliver what is theirs, each message once."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest
from support.marks import needs_fork
from support.script import PREAMBLE, fork_warning, run, sequence_numbers

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver import LocalSegment


@needs_fork
def test_parent_and_child_deliver_their_own_messages_once(server: LocalSegment) -> None:
    run(
        server,
        """
        client = make()
        track(client, range(10))
        child = os.fork()
        if child == 0:
            assert client.stats.accepted == 0
            track(client, range(100, 110))
            assert client.flush(timeout=20)
            assert client.stats.delivered == 10
            sys.exit(0)
        track(client, range(10, 20))
        assert os.waitpid(child, 0)[1] == 0
        """,
        *fork_warning,
    )
    assert sorted(sequence_numbers(server)) == [*range(20), *range(100, 110)]
    assert server.duplicates == 0


@needs_fork
def test_a_fork_while_a_request_is_under_way_and_locks_are_held(server: LocalSegment) -> None:
    server.respond(200, delay=0.3)
    run(
        server,
        """
        client = make(upload_size=1)
        track(client, range(1))                      # under way for 0.3 s
        while client.queue.qsize():
            pass
        held, forked = threading.Event(), threading.Event()
        def hold():
            with client.queue.lock:
                held.set()
                forked.wait(20)
        threading.Thread(target=hold).start()
        held.wait()
        child = os.fork()
        if child == 0:
            track(client, range(100, 103))
            assert client.flush(timeout=20)
            assert client.shutdown()
            os._exit(0)
        forked.set()
        assert os.waitpid(child, 0)[1] == 0
        assert client.flush(timeout=20)
        """,
        *fork_warning,
    )
    assert sorted(sequence_numbers(server)) == [0, 100, 101, 102]
    assert server.duplicates == 0


# Where each lock is that the library takes, or has others take; all of them are there once the
# client has delivered a message.
LOCKS = {
    "the queue": "client.queue.lock",
    "the queue of gauges": "client._router.gauges.queue.lock",
    "logging": "logging._lock",
    "a log handler": "handler.lock",
    "urllib3's pools": "adapter.poolmanager.pools.lock",
}


@needs_fork
@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
def test_a_fork_while_another_thread_holds_a_lock(server: LocalSegment, lock: str) -> None:
    """That thread does not exist in the child, and so never releases it there."""
    output = run(
        server,
        f"""
        import logging
        from segment_librato import LibratoConfig
        handler = logging.StreamHandler(sys.stdout)
        account = LibratoConfig("ada@example.com", "token", host=sys.argv[1])
        client = make(gauges=account, log_handler=handler, debug=True)
        segment_librato.write_key, segment_librato.host = "test-key", sys.argv[1]
        client.track("user", "event", {{"n": 0, "value": 1}})
        assert client.flush(timeout=20)
        sessions = client._router._segment._transport._made[0]._sessions
        adapter = sessions._idle[0]._requests.get_adapter("http://")
        held, forked = threading.Event(), threading.Event()
        def hold():
            with {lock}:
                held.set()
                forked.wait(0.3)  # logging has a fork wait for its lock
        holder = threading.Thread(target=hold)
        holder.start()
        held.wait()
        client.track("user", "event", {{"n": 1, "value": 1}})
        child = os.fork()
        if child == 0:
            client.track("user", "event", {{"n": 10, "value": 1}})
            assert client.flush(timeout=20)
            segment_librato.track("user", "event", {{"n": 11}})
            assert segment_librato.shutdown(timeout=20)
            assert client.shutdown(timeout=20)
            os._exit(0)
        forked.set()
        assert os.waitpid(child, 0)[1] == 0
        holder.join()
        assert client.shutdown(timeout=20)
        """,
        *fork_warning,
    )
    assert "on_error" not in output
    assert sorted(sequence_numbers(server)) == [0, 1, 10, 11]
    assert server.duplicates == 0
    assert len(server.librato.samples) == 3


@needs_fork
def test_a_child_exits_whatever_the_pools_of_urllib3_hold(server: LocalSegment) -> None:
    """At the exit urllib3 empties its pools, for which it takes the lock of a `LifoQueue`."""
    output = run(
        server,
        """
        import gc, queue
        from segment_librato import LibratoConfig
        client = make(gauges=LibratoConfig("ada@example.com", "token", host=sys.argv[1]))
        client.track("user", "event", {"n": 0, "value": 1})
        assert client.flush(timeout=20)
        pools = [one for one in gc.get_objects() if isinstance(one, queue.LifoQueue)]
        held, forked = threading.Event(), threading.Event()
        def hold():
            for pool in pools:
                pool.mutex.acquire()
            held.set()
            forked.wait(20)
            for pool in pools:
                pool.mutex.release()
        holder = threading.Thread(target=hold)
        holder.start()
        held.wait()
        child = os.fork()
        if child == 0:
            signal.alarm(100)
            client.track("user", "event", {"n": 1, "value": 1})
            sys.exit()
        print(os.waitpid(child, 0)[1])
        forked.set()
        holder.join()
        """,
        *fork_warning,
    )
    assert output == "0\n"
    assert sorted(sequence_numbers(server)) == [0, 1]
    assert len(server.librato.samples) == 2


@needs_fork
def test_a_parent_that_leaves_at_once_delivers_its_own_and_so_does_its_child(
    server: LocalSegment,
) -> None:
    server.respond(200, delay=0.1, times=None)
    run(
        server,
        """
        client = make(upload_size=1)
        track(client, range(3))      # the first is under way, the others wait
        if os.fork() == 0:
            track(client, range(10, 13))
        """,
        *fork_warning,
    )
    assert server.wait_for(6)  # the parent has gone; its child may still be at it
    assert sorted(sequence_numbers(server)) == [0, 1, 2, 10, 11, 12]
    assert server.duplicates == 0


@needs_fork
def test_a_client_that_has_sent_nothing_yet_has_no_thread_that_a_fork_would_warn_of(
    server: LocalSegment,
) -> None:
    run(
        server,
        """
        client = make()
        child = os.fork()
        if child == 0:
            track(client, range(3))
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        """,
    )
    assert sequence_numbers(server) == [0, 1, 2]


@needs_fork
def test_children_of_children_deliver_their_own(server: LocalSegment) -> None:
    run(
        server,
        """
        client = make()
        for generation in range(4):
            track(client, [generation])
            child = os.fork()
            if child:
                assert os.waitpid(child, 0)[1] == 0
                break
        """,
        *fork_warning,
    )
    assert sorted(sequence_numbers(server)) == [0, 1, 2, 3]
    assert server.duplicates == 0


@needs_fork
def test_the_default_client_works_in_a_forked_child(server: LocalSegment) -> None:
    run(
        server,
        """
        segment_librato.write_key = "test-key"
        segment_librato.host = sys.argv[1]
        segment_librato.track("user", "event", {"n": 1})
        segment_librato.flush()
        child = os.fork()
        if child == 0:
            segment_librato.track("user", "event", {"n": 2})
            segment_librato.shutdown()
            os._exit(0)
        os.waitpid(child, 0)
        """,
        *fork_warning,
    )
    assert sequence_numbers(server) == [1, 2]


def run_file(server: LocalSegment, script: Path, method: str) -> None:
    """Run a script that starts processes by this method; it must be a file, and say nothing."""
    process = subprocess.run(  # noqa: S603  the tests' own script
        [sys.executable, *fork_warning, str(script), server.host, method],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")


@needs_fork
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_deliver_when_they_end(
    server: LocalSegment, method: str, tmp_path: Path
) -> None:
    script = tmp_path / "children.py"
    script.write_text(
        textwrap.dedent(PREAMBLE)
        + textwrap.dedent(
            """
            import multiprocessing

            def work(host, numbers):
                sys.argv[1] = host
                client = make()
                first, *rest = numbers
                track(client, [first])
                threading.Thread(target=work_on, args=(client, rest)).start()

            def work_on(client, numbers):
                threading.Event().wait(0.1)
                track(client, numbers)

            if __name__ == "__main__":
                client = make()
                track(client, range(3))
                context = multiprocessing.get_context(sys.argv[2])
                child = context.Process(target=work, args=(sys.argv[1], range(10, 13)))
                child.start()
                child.join()
                assert child.exitcode == 0
                with context.Pool(1) as pool:
                    pool.apply(work, (sys.argv[1], range(20, 23)))
                    pool.close()
                    pool.join()
            """
        )
    )
    run_file(server, script, method)
    assert sorted(sequence_numbers(server)) == [0, 1, 2, 10, 11, 12, 20, 21, 22]
    assert server.duplicates == 0


@needs_fork
@pytest.mark.parametrize(
    "before", ["os.register_at_fork(after_in_child=lambda: track(client, [9]))", "pass"]
)
@pytest.mark.parametrize("name", ["MainProcess", "Process-1"])
def test_a_child_of_multiprocessing_delivers_whatever_it_is_called_and_did_first(
    server: LocalSegment, before: str, name: str
) -> None:
    run(
        server,
        f"""
        import multiprocessing
        client = make()
        {before}
        context = multiprocessing.get_context("fork")
        child = context.Process(target=track, args=(client, [1]), name="{name}")
        child.start()
        child.join()
        assert child.exitcode == 0
        """,
        *fork_warning,
    )
    assert set(sequence_numbers(server)) == ({1} if before == "pass" else {1, 9})


# Children that are ended by SIGTERM


@needs_fork
@pytest.mark.parametrize(
    "options, call, arrives",
    [
        ("", "pass", True),
        ("", "segment_librato.flush_on_sigterm()", True),
        ("flush_in_children=False", "segment_librato.flush_on_sigterm()", True),
        ("flush_in_children=False", "pass", False),
    ],
)
def test_a_pool_that_is_terminated_delivers_unless_it_is_told_not_to(
    server: LocalSegment, options: str, call: str, arrives: bool
) -> None:
    run(
        server,
        f"""
        import multiprocessing
        client = make({options})
        {call}
        context = multiprocessing.get_context("fork")
        tracked = context.Event()
        def work():
            track(client, [1])
            wait_for_signal(tracked.set)  # an idle process may end on its own before it comes
        with context.Pool(1) as pool:
            pool.apply_async(work)
            tracked.wait()
        """,
        *fork_warning,
    )
    assert sequence_numbers(server) == ([1] if arrives else [])


POOL = """
    import multiprocessing

    def work(n):
        segment_librato.write_key, segment_librato.host = "test-key", sys.argv[1]
        segment_librato.upload_interval = 60
        segment_librato.track("user", "event", {"n": n})

    if __name__ == "__main__":
        with multiprocessing.get_context(sys.argv[2]).Pool(2) as pool:
            pool.map(work, range(5))
"""


@needs_fork
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_what_a_pool_tracks_arrives_if_with_ends_it(
    server: LocalSegment, method: str, tmp_path: Path
) -> None:
    script = tmp_path / "pool.py"
    script.write_text(textwrap.dedent(PREAMBLE) + textwrap.dedent(POOL))
    run_file(server, script, method)
    assert sorted(sequence_numbers(server)) == [0, 1, 2, 3, 4]


TERMINATE_CHILD = """
    import logging, multiprocessing
    logging.getLogger("segment").addHandler(logging.NullHandler())
    context = multiprocessing.get_context("fork")
    is_ready = context.Event()
    child = context.Process(target=work)
    child.start()
    assert is_ready.wait(30)
    {before}
    child.terminate()
    child.join()
    print(child.exitcode == -signal.SIGTERM)
"""


def terminate_child(server: LocalSegment, work: str, before: str = "") -> list[str]:
    """Have a child do some work and be terminated; return what was written."""
    script = textwrap.dedent(work) + textwrap.dedent(TERMINATE_CHILD).format(before=before)
    return run(server, script, *fork_warning).splitlines()


@needs_fork
@pytest.mark.parametrize("sync_mode", [False, True])
def test_a_child_that_is_terminated_tells_what_is_left_and_ends_by_the_signal(
    server: LocalSegment, sync_mode: bool
) -> None:
    with server.hold():
        output = terminate_child(
            server,
            f"""
            client = make(exit_timeout=0.2, timeout=3600, sync_mode={sync_mode})
            main = threading.get_ident()
            def tell():
                while sys._current_frames()[main].f_code.co_name not in ("readinto", "recv_into"):
                    time.sleep(0.001)
                is_ready.set()
            def work():
                if {sync_mode}:  # it is ready once it waits for a response
                    threading.Thread(target=tell, daemon=True).start()
                track(client, [1])
                wait_for_signal(is_ready.set)
            """,
        )
    told = "DeliveryError" if sync_mode else "ShutdownTimeoutError"
    assert output == [f"on_error {told} 1", "True"]


@needs_fork
def test_a_child_that_tracks_on_another_thread_first_delivers_once_its_main_thread_tracks(
    server: LocalSegment,
) -> None:
    """Only the main thread may set the handler."""
    output = terminate_child(
        server,
        """
        client = make()
        def work():
            thread = threading.Thread(target=track, args=(client, [1]))
            thread.start()
            thread.join()
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
            track(client, [2])
            track(client, [3])
            wait_for_signal(is_ready.set)
        """,
    )
    assert output == ["True"]
    assert sequence_numbers(server) == [1, 2, 3]


@needs_fork
def test_a_child_keeps_the_handler_that_it_has(server: LocalSegment) -> None:
    output = terminate_child(
        server,
        """
        client = make()
        def handler(number, frame):
            print("handler", client.stats.pending, flush=True)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        def work():
            signal.signal(signal.SIGTERM, handler)
            track(client, [1])
            wait_for_signal(is_ready.set)
        """,
    )
    assert output == ["handler 1", "True"]
    assert sequence_numbers(server) == []


@needs_fork
def test_a_process_that_multiprocessing_did_not_start_keeps_the_default(
    server: LocalSegment,
) -> None:
    run(
        server,
        """
        import multiprocessing
        client = make()
        child = os.fork()
        track(client, [bool(child)])
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        if child:
            assert os.waitpid(child, 0)[1] == 0
        """,
        *fork_warning,
    )
    assert sorted(sequence_numbers(server)) == [0, 1]


# Forks that Python does not see; nor does coverage

FORK_IN_C = """
import ctypes
def do_others_sleep():
    own, tasks = str(threading.get_native_id()), "/proc/self/task"
    for task in os.listdir(tasks) if os.path.isdir(tasks) else ():
        with open(f"{tasks}/{task}/stat") as file:
            if task != own and file.read().rpartition(")")[2].split()[0] != "S":
                return False
    return True
def where_others_are():
    frames = sys._current_frames()
    del frames[threading.get_ident()]
    return [(thread, frame.f_code.co_name, frame.f_lasti) for thread, frame in frames.items()]
def fork():
    # CPython itself may hang in such a child if another thread wants to run at that moment. One
    # that did, when this one let it, has come further, or is about to: it does not sleep.
    before = None
    while True:
        time.sleep(0.01)
        is_still, now = do_others_sleep(), where_others_are()
        waits = all(name in ("wait", "readinto", "recv_into") for _, name, _ in now)
        if is_still and waits and now == before:
            return ctypes.PyDLL(None).fork()
        before = now
def wait_for(child):
    assert os.waitpid(child, 0)[1] == 0
"""


NO_PAGE_TO_WIPE = """
import mmap
class Page(mmap.mmap):
    def madvise(self, *advice):  # an emulator takes any, and follows none
        pass
mmap.mmap = Page
"""


@needs_fork
@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("before", ["", "import mmap; del mmap.MAP_ANONYMOUS", NO_PAGE_TO_WIPE])
def test_a_child_forked_in_c_delivers_its_own_with_ids_of_its_own(
    server: LocalSegment, before: str
) -> None:
    output = run(
        server,
        FORK_IN_C
        + """
client = make()
track(client, range(3))                     # there is a thread now, and ids in stock
children = []
for number in range(2):
    children.append(fork())
    if children[-1] == 0:
        client.track("user", "event", {"n": 10 * number + 10})
        assert client.stats.accepted == 1, client.stats
        assert client.flush(20)
        assert client.join(20)
        client.track("user", "event", {"n": 10 * number + 11})
        assert client.shutdown(20)
        os._exit(0)
for child in children:
    wait_for(child)
track(client, range(3, 5))
assert client.flush(20)
        """,
        before_import=before,
    )
    assert output == ""
    assert sorted(sequence_numbers(server)) == [0, 1, 2, 3, 4, 10, 11, 20, 21]
    assert len({message["messageId"] for message in server.messages}) == 9


@needs_fork
@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(
    "call",
    [
        'client.track("user", "event", {"n": 9}, message_id="mine")',
        "client.flush(3)",
        "client.join(3)",
        "client.shutdown(3)",
        "client.stats",
        "asyncio.run(client.aflush(3))",
        "asyncio.run(client.__aexit__(None, None, None))",
        "del client; gc.collect()",
        "segment_librato.flush(3)",
        "signal.raise_signal(signal.SIGTERM)",
        "pass",
    ],
)
def test_whatever_a_child_forked_in_c_does_first_waits_for_nobody(
    server: LocalSegment, call: str
) -> None:
    """A thread of the parent holds the locks, and requests of the parent are under way."""
    with server.hold():
        output = run(
            server,
            FORK_IN_C
            + f"""
import asyncio, gc, logging
logging.disable()
segment_librato.write_key, segment_librato.host = "test-key", sys.argv[1]
segment_librato.upload_interval = 60
segment_librato.track("user", "event", {{"n": 1}})
signal.signal(signal.SIGTERM, lambda number, frame: None)
segment_librato.flush_on_sigterm()
client = make(upload_size=1, exit_timeout=0.2)
track(client, [1])
track(client, [2])
held, forked = threading.Event(), threading.Event()
def hold():
    with client.queue.lock:
        held.set()
        forked.wait()
holder = threading.Thread(target=hold, daemon=True)
holder.start()
held.wait()
child = fork()
if child == 0:
    segment_librato.gzip = True
    {call}
    sys.exit()
forked.set()
wait_for(child)
os._exit(0)
            """,
        )
    assert output == ("on_error ShutdownTimeoutError 1\n" if "track" in call else "")


@needs_fork
@pytest.mark.usefixtures("unmeasured")
def test_threads_of_a_child_forked_in_c_lose_nothing_to_the_reset(server: LocalSegment) -> None:
    """One of them resets while the others come to it."""
    output = run(
        server,
        FORK_IN_C
        + """
client = make()
track(client, [-1])
class Slow:
    def reset_after_fork(self):
        resets.append(1)
        if len(threads) < 8:
            all_started.wait(10)
resets, threads, all_started = [], [], threading.Event()
slow = [Slow() for _ in range(3)]
for one in slow:
    segment_librato.process.fork.register_after_fork(one)
child = fork()
if child == 0:
    threads += [threading.Thread(target=track, args=(client, [number])) for number in range(8)]
    for thread in threads:
        thread.start()
    all_started.set()
    for thread in threads:
        thread.join()
    assert client.flush(20)
    assert client.stats.delivered == 8, client.stats
    assert len(resets) == 3, resets
    os._exit(0)
wait_for(child)
        """,
    )
    assert output == ""
    assert sorted(sequence_numbers(server)) == list(range(-1, 8))


# Others


@needs_fork
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="it forks no more once it exits")
@pytest.mark.parametrize("order", ["before ours", "after ours"])
def test_a_child_that_an_exit_hook_forks_delivers(server: LocalSegment, order: str) -> None:
    hook = """
        import atexit, os
        @atexit.register
        def hook():
            child = os.fork()
            track(client, [2 if child else 1])
            if child:
                assert os.waitpid(child, 0)[1] == 0
        """
    script = "client = make(); track(client, [0])"
    if order == "before ours":
        run(server, textwrap.dedent(script) + textwrap.dedent(hook))
    else:
        run(server, script, before_import=hook)
    assert sorted(sequence_numbers(server)) == [0, 1, 2]
    assert server.duplicates == 0


@needs_fork
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="it forks no more once it exits")
def test_a_process_that_an_exit_hook_starts_has_an_end_of_its_own(server: LocalSegment) -> None:
    output = run(
        server,
        "client = make(); track(client, [0])",
        before_import="""
        import atexit, multiprocessing
        def work():
            track(client, [1])
            print(client.stats.pending, flush=True)  # it waits for the end
        @atexit.register
        def hook():
            child = multiprocessing.get_context("fork").Process(target=work)
            child.start()
            child.join()
        """,
    )
    assert output == "1\n"
    assert sorted(sequence_numbers(server)) == [0, 1]


def test_it_works_where_there_is_no_fork(server: LocalSegment) -> None:
    run(
        server,
        "client = make(); track(client, range(3))",
        before_import="import os; del os.fork, os.register_at_fork",
    )
    assert sequence_numbers(server) == [0, 1, 2]


@needs_fork
def test_a_child_forked_in_the_middle_of_a_delivery_sends_nothing_of_it_again(
    server: LocalSegment,
) -> None:
    """It returns into the delivery of its parent, who goes on with the rest of the batch."""
    server.respond(400, times=2)
    output = run(
        server,
        """
        import logging
        logging.disable()
        children = []
        def fork(error, messages):
            children.append(os.fork())
        client = make(on_error=fork)
        client.consumers[0].start = lambda: (_ for _ in ()).throw(RuntimeError("no thread"))
        track(client, range(2))
        client.flush(timeout=20)  # on this thread, which so comes back twice
        if children[-1] == 0:
            os._exit(0)
        print([os.waitpid(child, 0)[1] for child in children])
        """,
        *fork_warning,
    )
    assert output.endswith("[0]\n")
    assert sequence_numbers(server) == [1]
    assert server.duplicates == 0
