"""A process that tracks a few messages with many clients, and ends.

Run with the tests' folders on the path. Reads from stdin which servers there are, and writes to
stdout what the clients were told.
"""

from __future__ import annotations

import atexit
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict


@atexit.register  # before the import of the library, so that it runs after the library's hook
def write() -> None:
    """Write the records of all clients."""
    for client, clock, record in clients.values():
        record.close(client)
        record.seconds += clock.now()
    json.dump({name: asdict(record) for name, (_, _, record) in clients.items()}, sys.stdout)


from segment_librato.http import deadlines  # noqa: E402
from support.scenario import CELLS, MESSAGES, prepare  # noqa: E402  see above

task = json.load(sys.stdin)
deadlines.MAX_BODY_SECONDS = task["max_answer_seconds"]
clients = {name: prepare(CELLS[name], host, task["mode"]) for name, host in task["hosts"].items()}


def track(name: str) -> None:
    """Track with one client; without a thread of its own, it meets a silent server here."""
    client, clock, record = clients[name]
    record.seconds = -clock.now()
    record.track(client, MESSAGES)


with ThreadPoolExecutor(16) as threads:
    list(threads.map(track, clients))
