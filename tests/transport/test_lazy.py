"""HTTP is imported by the first message: what a signal, a fork and the exit make of that."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.marks import needs_fork
from support.script import fork_warning, run, sequence_numbers

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

EXPENSIVE = (
    *("requests", "urllib3", "http.client", "ssl", "backoff", "asyncio", "inspect", "dateutil"),
    *("email.utils", "dataclasses", "uuid"),
)
# some of what is imported, from the first to the last
MODULES = [
    "segment_librato.gauge_delivery.librato",
    "segment_librato.http.session",
    "requests",
    "urllib3.poolmanager",
    "requests.sessions",
    "segment_librato.http.deadlines",
    "segment_librato.transport.segment",
    "backoff",
    "asyncio",
    "asyncio.events",
    "asyncio.tasks",
    "backoff._wait_gen",
]

# A signal while a module is looked for, which is in the middle of the import of those before it.
SIGNAL_AT = """
    import logging, signal, sys
    logging.getLogger("segment").addHandler(logging.NullHandler())
    class At:
        name = None
        def find_spec(self, name, path=None, target=None):
            if name == self.name:
                self.name = None
                signal.raise_signal(signal.SIGINT)
    at = At()
    sys.meta_path.insert(0, at)
"""


def loaded_after(code: str) -> set[str]:
    """Return which modules a new interpreter has loaded after this code.

    It has no orjson, which loads some of them by itself.
    """
    source = f"sys.modules['orjson'] = None\n{code}\nprint(*sys.modules)"
    done = subprocess.run(  # noqa: S603  the tests' own script
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}\n{source}"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import segment_librato",
        "from segment_librato import Client; client = Client('k')",
        "from segment_librato import Client; client = Client('k', sync_mode=True)",
        "from segment_librato import Client; Client('k').shutdown()",
        "from segment_librato import Client; client = Client('k'); client.flush(); client.join()",
        "import segment_librato; segment_librato.write_key = 'k'; segment_librato.flush()",
        "from segment_librato import Client; Client('k', send=False).track('user', 'event')",
    ],
)
def test_a_process_that_sends_nothing_loads_nothing_expensive(code: str) -> None:
    assert loaded_after(code) & set(EXPENSIVE) == set()


def spooling(modules: set[str]) -> set[str]:
    """Return those of the modules that only a spool needs."""
    names = ("spooling", "spooled", "spooled_queue", "keeper", "adoption", "writing")
    return {
        one for one in modules if set(names) & {*one.removeprefix("segment_librato").split(".")}
    }


def test_without_a_spool_nothing_of_it_is_loaded(server: LocalSegment, tmp_path: Path) -> None:
    code = f"""
from segment_librato import Client
client = Client("k", host={server.host!r}, spool=SPOOL)
client.track("user", "event")
assert client.flush(20)
"""
    assert spooling(loaded_after("import segment_librato")) == set()
    assert spooling(loaded_after(code.replace("SPOOL", "None"))) == set()
    with_spool = spooling(loaded_after(code.replace("SPOOL", repr(str(tmp_path)))))
    assert {
        "segment_librato.spooling.run",
        "segment_librato.queue.spooled_queue",
        "segment_librato.delivery.keeper",
        "segment_librato.delivery.adoption",
    } <= with_spool


def test_the_first_client_loads_orjson_not_the_library(server: LocalSegment) -> None:
    output = run(
        server,
        """
        from importlib.util import find_spec
        is_installed = find_spec("orjson") is not None
        print("orjson" in sys.modules)
        make()
        print(("orjson" in sys.modules) == is_installed)
        """,
    )
    assert output == "False\nTrue\n"


def test_direct_delivery_loads_nothing_expensive_before_the_first_measurement() -> None:
    code = "from segment_librato import *; Client(gauges=LibratoConfig('a@b.c', 'token'))"
    assert not loaded_after(code) & set(EXPENSIVE)


def test_the_import_of_what_sends_has_it_done_before(server: LocalSegment) -> None:
    output = run(
        server,
        """
        import segment_librato.sending
        before = set(sys.modules)
        client = make()
        track(client, range(1))
        print({name.split(".")[0] for name in set(sys.modules) - before} - {"segment_librato"})
        """,
    )
    assert output == "set()\n"


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_a_signal_handler_may_track_in_the_middle_of_the_imports(
    server: LocalSegment, module: str
) -> None:
    output = run(
        server,
        f"""
        from segment_librato import LibratoConfig
        account = LibratoConfig("ada@example.com", "token", host=sys.argv[1])
        client, other, synchronous = make(), make(gauges=account), make(sync_mode=True)
        def handler(*_):
            print("signal")
            print(client.track("user", "event", {{"n": 1}})[0])
            print(other.track("user", "event", {{"n": 2}})[0])
            print(client.flush(), other.join(), synchronous.flush())
            print(synchronous.track("user", "event", {{"n": 3}})[0])
        signal.signal(signal.SIGINT, handler)
        at.name = {module!r}
        track(client, [0])
        print([one.is_alive() for one in client.consumers + other.consumers])
        for one in (client, other, synchronous):
            assert one.flush(timeout=20)
        """,
        before_import=SIGNAL_AT,
    )
    assert output.splitlines() == [
        "signal",
        "True",
        "True",
        "False False False",
        "on_error DeliveryError 1",
        "False",
        "[True, True, True]",
    ]
    assert sorted(sequence_numbers(server)) == [0, 1, 2]
    assert len(server.librato.samples) == 1


def test_a_signal_handler_may_shut_down_in_the_middle_of_the_imports(server: LocalSegment) -> None:
    output = run(
        server,
        """
        client = make()
        signal.signal(signal.SIGINT, lambda *_: print(client.shutdown()))
        at.name = "requests"
        track(client, [0])
        assert client.flush(timeout=20)
        """,
        before_import=SIGNAL_AT,
    )
    assert output == "False\n"
    assert sequence_numbers(server) == [0]


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("options", ["", "sync_mode=True"])
@pytest.mark.parametrize("exception", ["KeyboardInterrupt", "SoftTimeLimit"])
def test_an_interruption_in_the_middle_of_the_imports_loses_no_message(
    server: LocalSegment, exception: str, options: str, module: str
) -> None:
    output = run(
        server,
        f"""
        class SoftTimeLimit(Exception):
            pass
        def handler(number, frame):
            raise {exception}
        signal.signal(signal.SIGINT, handler)
        client = make({options})
        at.name = {module!r}
        try:
            track(client, [0])
        except {exception}:
            print("interrupted")
        track(client, [1])
        assert client.flush(timeout=20)
        import asyncio
        asyncio.run(asyncio.sleep(0))
        """,
        before_import=SIGNAL_AT,
    )
    told = ["on_error DeliveryError 1"] if options else []  # it was under way
    assert output.splitlines() == [*told, "interrupted"]
    assert sequence_numbers(server) == ([1] if options else [0, 1])


def test_sigterm_in_the_middle_of_the_imports_delivers_before_the_end(
    server: LocalSegment,
) -> None:
    run(
        server,
        """
        segment_librato.flush_on_sigterm()
        client = make()
        at.name = "requests"
        track(client, [0])
        """,
        before_import=SIGNAL_AT.replace("SIGINT", "SIGTERM"),
        expected_status=128 + 15,
    )
    assert sequence_numbers(server) == [0]


def test_threads_that_track_first_at_the_same_time_deliver_all(server: LocalSegment) -> None:
    run(
        server,
        """
        client = make(thread=2)
        barrier = threading.Barrier(8)
        def work(number):
            barrier.wait()
            track(client, [number])
        threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.flush(timeout=20)
        """,
    )
    assert sorted(sequence_numbers(server)) == list(range(8))


@needs_fork
@pytest.mark.parametrize("prepared", ["import segment_librato.sending", "pass"])
def test_children_that_were_forked_before_the_first_message_deliver(
    server: LocalSegment, prepared: str
) -> None:
    run(
        server,
        f"""
        {prepared}
        client = make()
        for number in range(3):
            if os.fork() == 0:
                track(client, [number])
                assert client.flush(timeout=20)
                os._exit(0)
        for _ in range(3):
            assert os.wait()[1] == 0
        track(client, [3])
        """,
    )
    assert sorted(sequence_numbers(server)) == [0, 1, 2, 3]
    assert server.duplicates == 0


@needs_fork
def test_a_fork_waits_for_the_imports_of_another_thread(server: LocalSegment) -> None:
    """The child would wait forever for the lock of a module that nobody goes on importing."""
    run(
        server,
        """
        client = make()
        is_reached = threading.Event()
        class Slow:
            def find_spec(self, name, path=None, target=None):
                if name == "urllib3.poolmanager":  # it makes a logger next
                    is_reached.set()
                    threading.Event().wait(0.2)
        sys.meta_path.insert(0, Slow())
        thread = threading.Thread(target=track, args=(client, [0]))
        thread.start()
        is_reached.wait()
        child = os.fork()
        if child == 0:
            track(client, [1])
            assert client.flush(timeout=20)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        thread.join()
        """,
        *fork_warning,
    )
    assert sorted(sequence_numbers(server)) == [0, 1]


@needs_fork
def test_a_signal_handler_may_fork_in_the_middle_of_the_imports(server: LocalSegment) -> None:
    run(
        server,
        """
        client = make()
        child = None
        def handler(*_):
            global child
            child = os.fork()
        signal.signal(signal.SIGINT, handler)
        at.name = "requests"
        track(client, [0])
        if child == 0:
            track(client, [1])
            assert client.flush(timeout=20)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        """,
        before_import=SIGNAL_AT,
    )
    assert sorted(sequence_numbers(server)) == [0, 1]


@pytest.mark.parametrize("options", ["", "sync_mode=True"])
@pytest.mark.parametrize("before", ["", "client = make()"])
def test_an_exit_hook_may_send_the_first_message(
    server: LocalSegment, before: str, options: str
) -> None:
    run(
        server,
        f"""
        {before}
        client = make({options})
        atexit.register(track, client, range(3))
        """,
    )
    assert sequence_numbers(server) == [0, 1, 2]


@pytest.mark.parametrize("options", ["", "sync_mode=True"])
def test_what_cannot_be_imported_is_told_and_tried_again(
    server: LocalSegment, options: str
) -> None:
    output = run(
        server,
        f"""
        import logging
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        client = make({options})
        sys.modules["requests"] = None
        client.track("user", "event", {{"n": 0}})
        assert client.flush(timeout=20)
        assert client.stats.failed == 1
        del sys.modules["requests"]
        client.track("user", "event", {{"n": 1}})
        assert client.flush(timeout=20)
        """,
    )
    reason = "sending needs a module that cannot be imported: ModuleNotFoundError, requests"
    no_thread = [] if options else [f"no thread could be started: {reason}"]
    lines = [*no_thread, "on_error DeliveryError 1", f"messages not delivered: 1; {reason}"]
    assert output.splitlines() == lines
    assert sequence_numbers(server) == [1]


@pytest.mark.parametrize("options", ["", "sync_mode=True"])
def test_modules_that_a_test_takes_back_are_imported_again_as_a_whole(
    server: LocalSegment, options: str
) -> None:
    """What is left of them in their packages must not meet the new ones."""
    run(
        server,
        f"""
        from unittest import mock
        from segment_librato import LibratoConfig
        with mock.patch.dict(sys.modules):
            first = make({options})
            track(first, [0])
            assert first.flush(timeout=20)
        account = LibratoConfig("ada@example.com", "token", host=sys.argv[1])
        for number in (1, 2):
            later = make(gauges=account, {options})
            track(later, [number])
            assert later.flush(timeout=20)
        track(first, [3])
        assert first.flush(timeout=20)
        """,
    )
    assert sequence_numbers(server) == [0, 1, 2, 3]
    assert len(server.librato.samples) == 2


def test_an_orjson_that_cannot_be_imported_is_told_and_tried_again_by_the_next_client(
    server: LocalSegment,
) -> None:
    output = run(
        server,
        """
        import logging
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        class NoFile:
            def find_spec(self, name, path=None, target=None):
                if name == "orjson":
                    print("orjson is looked for")
                    raise OSError(24, "Too many open files")
        finder = NoFile()
        sys.meta_path.insert(0, finder)
        client = make()
        track(client, [0])
        assert client.flush(timeout=20)
        finder.find_spec = lambda *_: print("again")
        make()
        """,
    )
    line = "orjson cannot be imported, and is not used: OSError"
    assert output.count(line) == 1
    assert output.endswith("again\n")
    assert sequence_numbers(server) == [0]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit of file descriptors")
def test_a_first_message_without_a_file_descriptor_left_is_accepted_and_sent_later(
    server: LocalSegment,
) -> None:
    output = run(
        server,
        """
        import logging, resource
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        taken = []
        try:
            while True:
                taken.append(os.dup(0))
        except OSError:
            pass
        segment_librato.write_key, segment_librato.host = "test-key", sys.argv[1]
        print(segment_librato.track("user", "event", {"n": 0})[0])
        for one in taken:
            os.close(one)
        print(segment_librato.track("user", "event", {"n": 1})[0])
        assert segment_librato.flush(timeout=20)
        """,
    )
    *lines, first, second = output.splitlines()
    reason = "sending needs a module that cannot be imported: OSError, Too many open files"
    assert [first, second] == ["True", "True"]
    assert lines[-1] == f"no thread could be started: {reason}"
    assert sorted(sequence_numbers(server)) == [0, 1]
