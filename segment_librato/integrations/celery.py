"""Celery: the scope in which a task was sent holds in the task.

Owns the header that carries it. A task that is run eagerly runs where it was sent, and needs none.
"""

from __future__ import annotations

import json
from typing import Any

from celery.signals import (  # type: ignore[import-untyped]  # it has no types
    before_task_publish,
    task_postrun,
    task_prerun,
)

from segment_librato.message.scope import current_scope
from segment_librato.scopes import scope, scope_to_carry

__all__ = ["HEADER", "carry_scopes"]

HEADER = "segment_scope"  # JSON: brokers differ in what else a header may have
BEGUN = "_segment_scope"


def carry_scopes() -> None:
    """Have tasks run in the scope in which they were sent. Call it where senders and workers do.

    That is the module with the Celery application. The ids and the context of the scope travel in
    the header `segment_scope` of the message: whoever reads the broker can read them.
    """
    for signal, receive in (
        (before_task_publish, _add_header),
        (task_prerun, _begin),
        (task_postrun, _end),
    ):
        signal.connect(receive, weak=False, dispatch_uid=HEADER)


def _add_header(headers: dict[str, Any], **_: object) -> None:
    headers.pop(HEADER, None)  # that of an attempt before this one
    if carried := scope_to_carry():
        headers[HEADER] = json.dumps(carried)


def _begin(task: Any, **_: object) -> None:
    if not task.request.is_eager:
        current_scope.set(None)  # in case a time limit struck while the last one ended
    if carried := task.request.get(HEADER):
        setattr(task.request, BEGUN, scope(**json.loads(carried)).__enter__())


def _end(task: Any, **_: object) -> None:
    if begun := task.request.get(BEGUN):
        begun.__exit__(None, None, None)
