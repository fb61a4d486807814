"""What a check of `doctor` has found.

Owns the states. Must not know what is checked, or how a finding is shown.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["OK", "PROBLEM", "WARNING", "Finding"]

OK, WARNING, PROBLEM = "ok", "warning", "problem"


class Finding(NamedTuple):
    """What a check has found.

    Attributes:
        name: what was looked at.
        state: "ok", "warning" or "problem".
        text: what it is.
        advice: what to do about it; empty if nothing.
    """

    name: str
    state: str
    text: str
    advice: str = ""
