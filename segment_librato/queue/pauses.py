"""How long to wait before what failed is tried again, if it may wait for days.

Each pause is twice as long as the one before, up to a limit, and a little longer or shorter at
random, so that processes do not go in step. Must not know what is tried.
"""

from __future__ import annotations

import random

__all__ = ["jittered", "pause_after"]

MAX_DOUBLINGS = 60  # an outage may last longer; a float cannot double more than 1,023 times


def pause_after(failures: int, first: float, longest: float) -> float:
    """Return the seconds to wait after so many failures in a row before this one."""
    return jittered(min(first * 2 ** min(failures, MAX_DOUBLINGS), longest))


def jittered(seconds: float) -> float:
    """Return a pause of about so many seconds: up to a fifth longer or shorter."""
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311  nothing secret
