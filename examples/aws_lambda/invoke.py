"""Do what Lambda does, on this machine: invoke the handler, and run nothing after it returns."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from lambda_function import lambda_handler

TIMEOUT = 5.0  # seconds, as in the configuration of a function


class LocalContext:
    """The context of one invocation."""

    def __init__(self) -> None:
        self._end = time.monotonic() + TIMEOUT

    def get_remaining_time_in_millis(self) -> int:
        """Return how long this invocation may still take."""
        return int((self._end - time.monotonic()) * 1000)


if __name__ == "__main__":
    event = json.loads((Path(__file__).parent / "event.json").read_text(encoding="utf-8"))
    print(json.dumps(lambda_handler(event, LocalContext())))
    sys.stdout.flush()
    os._exit(0)  # no thread and no exit hook runs any more, as in a frozen process
