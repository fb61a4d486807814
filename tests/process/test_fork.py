"""Forks, with real ones: parent and child deliver what is theirs, each message once."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest
from support.script import PREAMBLE, fork_warning, needs_fork, run, sequence_numbers

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
    "the settings of the module": "segment_librato.global_client._defaults.lock",
    "logging": "logging._lock",
    "a log handler": "handler.lock",
    "urllib3's pools": "adapter.poolmanager.pools.lock",
    "urllib3's connections": "next(iter(adapter._pools)).pool.mutex",
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
    process = subprocess.run(  # noqa: S603  the tests' own script
        [sys.executable, *fork_warning, str(script), server.host, method],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
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


@needs_fork
@pytest.mark.parametrize("call", ["segment_librato.flush_on_sigterm()", "pass"])
def test_a_pool_that_is_terminated_delivers_with_flush_on_sigterm(
    server: LocalSegment, call: str
) -> None:
    run(
        server,
        f"""
        import multiprocessing
        client = make()
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
    assert sequence_numbers(server) == ([] if call == "pass" else [1])


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
