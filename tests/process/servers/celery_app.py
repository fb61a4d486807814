"""A Celery application whose tasks track, with a client that is made when it is imported."""

from __future__ import annotations

import os
import sys
import time
from itertools import count

from celery import Celery  # type: ignore[import-untyped]  # it has no types
from reporting_client import track as track_number

FIRST_OF_ENDLESS = 1_000_000

app = Celery(
    "celery_app",
    broker="filesystem://",
    broker_transport_options={
        "data_folder_in": os.environ["BROKER"],
        "data_folder_out": os.environ["BROKER"],
        "control_folder": os.environ["BROKER"],
        "polling_interval": 0.05,
    },
    task_ignore_result=True,
    worker_redirect_stdouts=False,
)
track_number("imported", -1)


@app.task  # type: ignore[untyped-decorator]  # as above
def track(number: int) -> None:
    """Track a number, and say so on stdout."""
    track_number("ran", number)
    os.write(1, b"tracked\n")


@app.task  # type: ignore[untyped-decorator]  # as above
def track_until_killed() -> None:
    """Track without an end."""
    for number in count(FIRST_OF_ENDLESS):
        track_number("ran", number)
        time.sleep(0.002)  # so that the server keeps up


if __name__ == "__main__":
    for _ in range(int(os.environ.get("KILLS", "0"))):
        app.send_task("celery_app.track_until_killed")
    for task_number in range(int(sys.argv[1])):
        app.send_task("celery_app.track", [task_number])
