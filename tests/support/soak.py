"""A process in which 8 threads track for a while, and that then says what became of it all.

Run with the address of the server, the seconds and, for a spool, its folder. Keeps one byte a
message, so that its memory says something of the library's.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from segment_librato import Client, SpoolConfig
from segment_librato.queue import patient_queue

THREADS = 8
REJECTED, ACCEPTED = 1, 2


def options_of(spool: str | None) -> dict[str, Any]:
    """Return options with which the server's faults and the bound of what waits both count."""
    if spool is None:
        return {"max_queue_size": 2_000}
    patient_queue.FIRST_PAUSE = patient_queue.MAX_PAUSE = 0.05
    bound = SpoolConfig(spool, max_bytes=4 * 1024 * 1024)
    # What is in memory is an object for each message, so little of it may vary: those that wait,
    # and two batches on their way, four that are set aside, and one that was read ahead.
    return {"spool": bound, "max_queue_size": 200, "upload_size": 50}


def main(host: str, seconds: float, spool: str | None = None) -> None:
    logging.getLogger("segment").addHandler(logging.NullHandler())  # it would fill the pipe
    answers = [bytearray() for _ in range(THREADS)]  # what each call returned
    told = [bytearray() for _ in range(THREADS)]  # how often `on_error` was called with it

    def on_error(error: Exception, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            told[message["properties"]["thread"]][message["properties"]["n"]] += 1

    client = Client(
        "test-key",
        host,
        on_error=on_error,
        block_on_full=0.2,
        max_retries=3,
        timeout=0.3,
        thread=2,
        **options_of(spool),
    )
    ends_at = time.monotonic() + seconds

    def produce(thread: int) -> None:
        while time.monotonic() < ends_at:
            number = len(answers[thread])
            answers[thread].append(0)
            told[thread].append(0)
            properties = {"thread": thread, "n": number, "text": "x" * 200}
            accepted, _ = client.track("user", "event", properties)
            answers[thread][number] = ACCEPTED if accepted else REJECTED
            if number % 1_000 == 0:
                client.flush(timeout=0.1)

    threads = [threading.Thread(target=produce, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    memory, objects = [], []
    while time.monotonic() < ends_at:
        threads[0].join(seconds / 40)
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        own_bytes = sum(map(len, [*answers, *told]))
        memory.append(pages * os.sysconf("SC_PAGE_SIZE") - own_bytes)
        objects.append(len(gc.get_objects()))
        stats = client.stats
        assert stats.accepted == stats.delivered + stats.failed + stats.pending
    for thread in threads:
        thread.join()
    settled = client.shutdown(timeout=1 if spool else 60)
    stats = client.stats
    json.dump(
        {
            "settled": settled,
            "answers": [answer.hex() for answer in answers],
            "told": [one.hex() for one in told],
            "memory": memory,
            "objects": objects,
            "accepted": stats.accepted,
            "delivered": stats.delivered,
            "failed": stats.failed,
            "rejected": stats.rejected,
            "pending": stats.pending,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), *sys.argv[3:])
