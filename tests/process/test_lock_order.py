"""A producing call holds no lock of the library, and waits for none: it cannot wait in a circle.

Garbage collection runs anywhere, and with it a `__del__` that may want any lock of the
application, while another thread that holds that lock makes a call.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from support.background import Background
from support.script import run
from support.signal_handlers import call_with_handler

from segment_librato import LibratoConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato import Client
    from segment_librato.devserver import LocalSegment

    MakeClient = Callable[..., Client]

LONG = 60.0

# A deadlock is told, with the stacks of all threads, instead of waited for.
SCRIPT = """
    import faulthandler, gc, logging
    faulthandler.dump_traceback_later(200, exit=True)
    logging.getLogger("segment").addHandler(logging.NullHandler())
    client = make(upload_interval=0.01, max_queue_size=2, on_error=lambda *_: None)
    {application}
    class Garbage:
        def __init__(self):
            self.itself = self
        def __del__(self):
            on_del()
    def litter():
        for number in range(3_000):
            gc.set_threshold(1 + number % 50)  # so that it is collected anywhere
            Garbage()
            call()
    for name in ("segment", "application"):  # asked again, it takes no lock
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logging.getLogger(name).isEnabledFor(level)
    sys.setswitchinterval(0.000_01)
    threads = [threading.Thread(target=litter) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.shutdown(timeout=20)
    stats = client.stats
    assert stats.accepted == stats.delivered
    assert stats.accepted + stats.rejected >= 6_000
    print("done")
"""
A_HANDLER_THAT_TRACKS = """
    class Tracks(logging.Handler):
        def emit(self, record):
            client.track("user", "logged")
    logger = logging.getLogger("application")
    logger.addHandler(Tracks())
    logger.propagate = False
    on_del = call = lambda: logger.warning("something happened")
"""
A_LOCK_OF_ITS_OWN = """
    lock = threading.RLock()
    def on_del():
        with lock:
            pass
    def call():
        with lock:
            client.track("user", "event")
"""


@pytest.mark.parametrize("application", [A_HANDLER_THAT_TRACKS, A_LOCK_OF_ITS_OWN])
def test_a_del_may_want_a_lock_that_is_held_around_a_call(
    server: LocalSegment, application: str
) -> None:
    assert run(server, SCRIPT.format(application=application)) == "done\n"


class Situation(NamedTuple):
    """In which a call is made: by a client with these options, after so many others."""

    options: dict[str, Any]
    calls_before: int = 0
    is_shut_down: bool = False

    def prepare(self, make_client: MakeClient, server: LocalSegment) -> Client:
        gauges = LibratoConfig("user", "token", host=server.host, **self.options.get("gauges", {}))
        options = {**self.options, "gauges": gauges} if "gauges" in self.options else self.options
        client = make_client(upload_interval=LONG, **options)
        for _ in range(self.calls_before):
            client.gauge("gauge", 1)
        if self.is_shut_down:
            client.shutdown(timeout=10)
        return client


SITUATIONS = {
    "the first": Situation({}),
    "the next": Situation({}, 1),
    "the last of a batch": Situation({"upload_size": 2}, 1),
    "rejected": Situation({"max_queue_size": 1}, 3),
    "blocked": Situation({"max_queue_size": 1, "block_on_full": 0.01}, 3),
    "a gauge": Situation({"gauges": {}}, 1),
    "a new gauge": Situation({"gauges": {"aggregate": 60}}),
    "a folded gauge": Situation({"gauges": {"aggregate": 60}}, 1),
    "after a shutdown": Situation({}, is_shut_down=True),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SITUATIONS)
def test_wherever_a_call_stops_one_of_another_thread_goes_on(
    server: LocalSegment, make_client: MakeClient, name: str
) -> None:
    """A lock that the first one held would keep the other one waiting."""
    line = 0
    got_that_far = True
    while got_that_far:
        line += 3
        with server.hold():
            client = SITUATIONS[name].prepare(make_client, server)

            def call(client: Client = client) -> None:
                client.gauge("gauge", 1)

            got_that_far = call_with_handler(
                call,
                line,
                lambda call=call: Background(call).wait(),  # type: ignore[misc]
                step="line",
            )
            client.shutdown(timeout=0)
    assert line > 20


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_call_goes_on_while_another_thread_has_the_locks(
    server: LocalSegment, make_client: MakeClient, name: str
) -> None:
    with server.hold():
        client = SITUATIONS[name].prepare(make_client, server)
        locks = [queue.lock for queue in client._router.queues]  # noqa: SLF001
        has_them, let_go = threading.Event(), threading.Event()

        def hold() -> None:
            with ExitStack() as stack:
                for lock in locks:
                    stack.enter_context(lock)
                has_them.set()
                let_go.wait(30)

        holding = Background(hold)
        assert has_them.wait(10)
        try:
            assert Background(lambda: client.gauge("gauge", 1)).wait()
        finally:
            let_go.set()
            holding.wait()
