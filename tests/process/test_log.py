"""The log an on-call engineer reads: what started, what ended, and what was left, with counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.marks import needs_fork
from support.script import fork_warning, run, sequence_numbers

if TYPE_CHECKING:
    from segment_librato.devserver import LocalSegment

LOG_TO_STDOUT = """
    import logging
    logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
    logging.getLogger("segment").setLevel(logging.DEBUG)
"""


def logged(server: LocalSegment, script: str, *options: str) -> list[str]:
    """Run a script and return its log, except for the lines about single requests."""
    lines = run(server, LOG_TO_STDOUT + script, *options).splitlines()
    return [line for line in lines if not (line.startswith("DEBUG") and " answered " in line)]


def test_a_consumer_says_when_it_starts_and_stops(server: LocalSegment) -> None:
    script = """
    client = make()
    track(client, range(1))
    client.join()
    print("joined")
    """
    assert logged(server, script) == ["DEBUG consumer started", "DEBUG consumer stopped", "joined"]


def test_a_flush_that_runs_out_of_time_says_how_much_is_left(server: LocalSegment) -> None:
    script = """
    client = make(shutdown_timeout=0)
    track(client, range(3))
    client.flush(timeout=0)
    client.shutdown()
    """
    with server.hold():
        lines = logged(server, script)
    assert "DEBUG flush timed out; messages pending: 3" in lines


def test_the_exit_says_what_it_drains_and_what_came_of_it(server: LocalSegment) -> None:
    lines = logged(server, "    track(make(), range(3))\n")
    assert [line for line in lines if "drain" in line] == [
        "DEBUG drain began; messages pending: 3",
        "DEBUG drain ended; delivered: 3, failed: 0",
    ]


def test_the_exit_says_what_it_could_not_deliver(server: LocalSegment) -> None:
    server.respond(404)
    lines = logged(server, "    track(make(), range(3))\n")
    assert "DEBUG drain ended; delivered: 0, failed: 3" in lines
    reason = f"127.0.0.1:{server.port} answered 404 to a POST to /v1/batch; check `host`"
    assert f"ERROR messages not delivered: 3; {reason}" in lines


def test_an_on_error_that_exits_during_the_exit_ends_nothing_but_its_own_call(
    server: LocalSegment,
) -> None:
    """It is logged, not swallowed; what waits behind it is delivered, and the next client too."""
    script = """
    from segment_librato.delivery.consumer import Consumer
    def start(consumer):
        raise RuntimeError("no thread")
    Consumer.start = start  # so that the exit delivers itself, and `on_error` runs in it
    def leave(error, messages):
        print("on_error", [message["properties"]["n"] for message in messages])
        raise SystemExit(3)
    first, second = make(on_error=leave, upload_size=1), make()
    track(first, range(3))
    track(second, [10])
    """
    server.respond(404, when=lambda request: request.messages[0]["properties"]["n"] < 2, times=None)
    lines = logged(server, script)
    assert lines.count("ERROR the exit continues after SystemExit") == 2
    assert [line for line in lines if line.startswith("on_error")] == [
        "on_error [0]",
        "on_error [1]",
    ]
    assert sequence_numbers(server) == [2, 10]


@needs_fork
def test_a_child_says_that_it_was_forked_once_it_delivers(server: LocalSegment) -> None:
    script = """
    client = make()
    track(client, range(1))
    client.flush()  # its thread logs no more, which a fork would not wait for
    track(client, range(1, 3))
    child = os.fork()
    if child == 0:
        track(client, [10])
        client.flush()
        os._exit(0)
    os.waitpid(child, 0)
    client.flush()
    """
    lines = logged(server, script, *fork_warning)
    assert lines.count("DEBUG reset after a fork; messages left to the parent: 2") == 1
