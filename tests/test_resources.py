"""What clients take and give back: threads, sockets, objects, wake-ups."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from support.raw_server import RawServer
from support.script import run

from segment_librato import Client

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.devserver import LocalSegment

    MakeClient = Callable[..., Client]

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
SUCCESS = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

COUNT = """
    import gc
    def count():
        gc.collect()
        types = [str(type(one).__module__) for one in gc.get_objects()]
        ours = sum(name.startswith("segment_librato") for name in types)
        return threading.active_count(), len(os.listdir("/proc/self/fd")), ours

    def threads_end():
        for thread in threading.enumerate():
            if thread.name == "segment-consumer":
                thread.join(20)
                assert not thread.is_alive()
"""


@linux_only
@pytest.mark.parametrize("end", ["client.shutdown()", "del client", "client.join(); del client"])
@pytest.mark.parametrize("use", ["track(client, range(2))", "pass", "client.flush()"])
def test_200_clients_leave_nothing_behind(server: LocalSegment, end: str, use: str) -> None:
    output = run(
        server,
        f"""
        def use_one():
            client = make()
            {use}
            {end}
        use_one(); threads_end()      # what is made once for all
        before = count()
        for _ in range(200):
            use_one()
        threads_end()
        print(before == count(), before, count())
        """,
        before_import=COUNT,
    )
    assert output.startswith("True"), output


@linux_only
def test_clients_leave_nothing_behind_where_no_thread_can_be_started(server: LocalSegment) -> None:
    output = run(
        server,
        """
        import logging
        from segment_librato.delivery.consumer import Consumer
        logging.getLogger("segment").addHandler(logging.NullHandler())
        def start(consumer):
            raise RuntimeError("no thread")
        Consumer.start = start
        def use_one():
            client = make()
            track(client, range(2))
            assert client.flush()
        use_one()
        before = count()
        for _ in range(20):
            use_one()
        print(before == count(), before, count())
        """,
        before_import=COUNT,
    )
    assert output.startswith("True"), output


@linux_only
def test_an_idle_client_never_wakes_up(server: LocalSegment) -> None:
    """The kernel counts how often a thread has waited; an idle one waits once.

    It may come to rest late, but then it stays there: for a real second, as no clock of a test
    would see the kernel wake it up.
    """
    output = run(
        server,
        """
        from pathlib import Path
        from segment_librato import LibratoConfig
        account = LibratoConfig("ada@example.com", "token", host=sys.argv[1], aggregate=60)
        client = make(gauges=account, upload_interval=0.01, thread=2)
        client.track("user", "event", {"value": 1})
        assert client.flush(timeout=20)
        threads = [consumer.thread.native_id for consumer in client.consumers]
        def waits():
            lines = [Path(f"/proc/self/task/{thread}/status").read_text() for thread in threads]
            return [line.partition("\\nvoluntary_ctxt_switches:")[2].split()[0] for line in lines]
        def is_at_rest():
            before = waits()
            threading.Event().wait(1)
            return before == waits()
        print(len(threads), any(is_at_rest() for _ in range(10)))
        """,
    )
    assert output == "3 True\n"


def test_a_consumer_has_one_session_which_its_thread_makes_and_the_shutdown_closes() -> None:
    with RawServer(lambda: [SUCCESS], keep_alive=True) as raw:
        client = Client("test-key", raw.host, upload_interval=60)
        assert raw.connections == 0
        for _ in range(3):
            client.track("user", "event")
            assert client.flush(timeout=10)
        assert (raw.connections, raw.open_connections) == (1, 1)
        client.shutdown(timeout=10)
        assert raw.wait_until(lambda: raw.open_connections == 0)
    assert len(raw.requests) == 3
