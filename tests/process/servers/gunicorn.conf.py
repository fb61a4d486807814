"""What gunicorn does in the tests: tell when a worker is there."""

from __future__ import annotations

import sys


def post_worker_init(worker: object) -> None:
    """Say so on stdout; before, a worker would miss the signal to stop."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
