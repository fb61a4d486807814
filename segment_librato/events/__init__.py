"""Segment's standard events: types for editors, and checks for tests and for CI.

    from segment_librato.events import OrderCompleted, check

    order = OrderCompleted(order_id="o-7", total=42.5)
    _, message = client.track("ada", "Order Completed", order)
    assert check(message) == []

Each standard event has a TypedDict for its properties; so have traits, a context, pages and
screens. `track` knows them, so that an editor completes names in a plain dict, too. `check` says
what is wrong with a message, `TrackingPlan` has the rules of a workspace.

Imported on first use: an application that only sends does without.
"""

from __future__ import annotations

from segment_librato.events import ecommerce, fields, mobile, saas, video
from segment_librato.events.catalog import EVENTS
from segment_librato.events.checking import check
from segment_librato.events.ecommerce import *
from segment_librato.events.fields import *
from segment_librato.events.kinds import Date, Number
from segment_librato.events.mobile import *
from segment_librato.events.problems import Problem
from segment_librato.events.saas import *
from segment_librato.events.tracking_plan import TrackingPlan
from segment_librato.events.video import *

__all__ = ["EVENTS", "Date", "Number", "Problem", "TrackingPlan", "check"]
__all__ += ecommerce.__all__
__all__ += fields.__all__
__all__ += mobile.__all__
__all__ += saas.__all__
__all__ += video.__all__
