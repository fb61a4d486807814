"""The life of a client with a spool, which ends by a `kill -9` at one of its system calls.

To be run as a script, in a process without threads, as each life is a fork of it:

    python -m support.client_life HOST FSYNC

It reads `FOLDER STOP` for each life, and says what happens: `+id` when a message was accepted,
`-id` when `on_error` got it, `id process file size` when it is about to be written, `#stops` if it
has lived to its end, and `=status`. There is a stop before and one after each call by which the
library changes what is on disk, or whose it is.
"""

from __future__ import annotations

import builtins
import fcntl
import os
import signal
import sys
from functools import partial, wraps
from itertools import count
from typing import TYPE_CHECKING, Any

import segment_librato
from segment_librato import Client, SpoolConfig
from segment_librato.delivery import adoption
from support.told_records import limit_files, tell_records
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.errors import SegmentError

__all__ = ["FILE_SIZE", "KEY", "LEFT", "MAX_RECORD", "OF_ANCESTOR", "REFUSED"]

KEY = "test-key"
FILE_SIZE, MAX_RECORD = 800, 320  # bytes; three or four messages
WINDOW = 2  # messages in memory, and in a batch

# What the server has to do with messages of these numbers.
REFUSED = range(10, 12)  # refuse a request with any of them, the first time
LEFT = range(22, 24)  # and any that is not compressed, as those of the second client are
OF_ANCESTOR = range(100, 108)  # a process that was killed before has left them

SYSTEM_CALLS = {
    builtins: ["open"],
    fcntl: ["flock"],
    os: [
        *("close", "fsync", "ftruncate", "mkdir", "open", "remove", "rename", "replace", "rmdir"),
        *("unlink", "utime", "write"),
    ],
}

write = os.write  # as it is before it stops


def say(line: str) -> None:
    write(1, f"{line}\n".encode())


def on_error(_: SegmentError, messages: list[dict[str, Any]]) -> None:
    for message in messages:
        say(f"-{message['messageId']}")


def stop_at(stop: int) -> count[int]:
    """Have the process killed at this stop; return what counts them."""
    stops = count(1)

    def pass_one() -> None:
        if next(stops) == stop:
            os.kill(os.getpid(), signal.SIGKILL)

    def stopping(call: Callable[..., object]) -> Callable[..., object]:
        @wraps(call)
        def stopping_call(*arguments: Any, **options: Any) -> object:
            pass_one()
            try:
                return call(*arguments, **options)
            finally:
                pass_one()

        return stopping_call

    for module, names in SYSTEM_CALLS.items():
        for name in names:
            setattr(module, name, stopping(getattr(module, name)))
    return stops


def track(client: Client, numbers: range) -> None:
    for n in numbers:
        accepted, message = client.track("user", "event", {"n": n})
        assert accepted
        say(f"+{message['messageId']}")


def recovered(client: Client) -> int:
    spool = client.stats.spool
    assert spool
    return spool.recovered


def live(make: Callable[..., Client], folder: str) -> None:
    """Write, rotate, deliver, adopt, set aside, leave, and deliver what was left."""
    client = make(folder)
    track(client, range(10))
    assert client.flush(10)
    wait_until(lambda: recovered(client) == len(OF_ANCESTOR))
    track(client, REFUSED)
    wait_until(lambda: client.queue.ledger.next_retry() is not None)  # type: ignore[attr-defined]
    track(client, range(REFUSED.stop, 20))
    assert client.flush(10)
    with_left = range(20, LEFT.stop)
    track(client, with_left)
    wait_until(lambda: client.queue.ledger.next_retry() is not None)  # type: ignore[attr-defined]
    client.shutdown(0)
    second = make(folder, gzip=True)
    second.flush(10)
    wait_until(lambda: recovered(second) == client.stats.pending)
    track(second, range(LEFT.stop, 28))
    assert second.shutdown(10)


def end_early(make: Callable[..., Client], folder: str) -> None:
    """Be the ancestor."""
    track(make(folder, deliver=False), OF_ANCESTOR)
    os.kill(os.getpid(), signal.SIGKILL)


def in_child(act: Callable[[], object]) -> int:
    """Do something in a fork of this process; return its status."""
    child = os.fork()
    if not child:
        try:
            act()
        except BaseException as error:  # noqa: BLE001  the copy of the parent's stack ends here
            sys.excepthook(type(error), error, error.__traceback__)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(host: str, fsync: str) -> None:
    limit_files(FILE_SIZE, MAX_RECORD)
    adoption.LOOK_SECONDS = 0.01
    segment_librato.preload()
    tell_records(say, lambda: str(os.getpid()))

    seconds = None if fsync == "None" else float(fsync)

    def make(folder: str, *, deliver: bool = True, gzip: bool = False) -> Client:
        return Client(
            KEY,
            host=host,
            spool=SpoolConfig(folder, fsync=seconds, deliver=deliver),
            on_error=on_error,
            gzip=gzip,
            upload_interval=60,
            upload_size=WINDOW,
            max_queue_size=WINDOW,
            max_retries=0,
        )

    def live_to(folder: str, stop: int) -> None:
        stops = stop_at(stop)
        live(make, folder)
        say(f"#{next(stops) - 1}")

    for line in sys.stdin:
        folder, stop = line.rsplit(maxsplit=1)
        act = partial(live_to, folder, int(stop)) if int(stop) else partial(end_early, make, folder)
        say(f"={in_child(act)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
