"""A Celery application whose tasks track without ids, and the program that sends them in scopes."""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from celery import Celery  # type: ignore[import-untyped]  # it has no types
from kombu.transport import filesystem

import segment_librato as analytics
from segment_librato.integrations.celery import carry_scopes

analytics.write_key = "test-key"
analytics.host = os.environ["SEGMENT_HOST"]
analytics.upload_interval = 0.1


class WholeFiles(filesystem.Channel):
    """Gives a message its name once all of it is written.

    Kombu's own does so before, and a worker that reads it then loses it.
    """

    def _put(  # type: ignore[override]  # as Kombu's own does
        self, queue: str, payload: object, **_: object
    ) -> None:
        name = f"{time.monotonic_ns()}_{uuid.uuid4()}"  # the order in which they are read
        written = Path(self.data_folder_out, name)
        written.write_text(json.dumps(payload), encoding="utf-8")
        written.rename(written.with_name(f"{name}.{queue}.msg"))


filesystem.Transport.Channel = WholeFiles
app = Celery(
    "scoped_tasks",
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
carry_scopes()


@app.task(bind=True)  # type: ignore[untyped-decorator]  # as above
def track(task: Any, number: int) -> None:
    """Track a number, after another attempt if it is odd, and have the next task track it, too."""
    if number % 2 and not task.request.retries:
        task.retry(countdown=0)
    analytics.track(event="Task Run", properties={"n": number})
    track_again.delay(number)


@app.task  # type: ignore[untyped-decorator]  # as above
def track_again(number: int) -> None:
    """Track a number."""
    analytics.track(event="Next Task Run", properties={"n": number})


if __name__ == "__main__":
    for n in range(int(sys.argv[1])):
        with analytics.scope(f"user-{n}", context={"locale": "de"}):
            track.delay(n)
