"""What docs/scopes.md says of choices and of tasks."""

from __future__ import annotations

import pytest
from support.pages import ROOT, blocks_for
from support.scopes_page import variables_of

import segment_librato as analytics
from segment_librato.integrations.request import Choices
from segment_librato.testing import capture

pytestmark = pytest.mark.once

PAGE = (ROOT / "docs/scopes.md").read_text(encoding="utf-8")
(TASKS,) = blocks_for(__file__)


def test_each_choice_has_a_row() -> None:
    for name in Choices._fields:
        assert f"`{name}=True`" in PAGE


def test_the_tasks_of_the_page_run_in_a_scope() -> None:
    in_memory = TASKS.text.replace('"amqp://"', '"memory://", set_as_current=False')
    tasks = variables_of(TASKS._replace(text=in_memory))
    with capture() as segment, analytics.scope("user-1"):
        assert tasks["send_invoice"].apply(args=["order-1"]).successful()
    segment.assert_tracked("Invoice Sent", user_id="user-1", order="order-1")
