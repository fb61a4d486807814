"""What is wrong with a message.

Owns the form of a problem, and the words for values. Must not know how one is found.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from segment_librato.foreign.printable import printable

__all__ = ["Problem", "describe", "shorten"]

MAX_SHOWN = 100  # characters of a name
KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (type(None), "null"),
    (bool, "a boolean"),
    (str, "a string"),
    (int, "an integer"),
    (float, "a number"),
    ((list, tuple), "an array"),
    (Mapping, "an object"),
)


class Problem(NamedTuple):
    """Something that is wrong with a message, or likely to be.

    Attributes:
        code: what kind of problem it is, for programs: `missing`, `wrong_type`, `wrong_value`,
            `event_name`, `property_name`, `mixed_case`; with a tracking plan also `not_planned`
            and `not_as_planned`.
        path: where it is: `properties.products[0].price`.
        text: what is wrong, in a sentence that names the place. It never has a value.
        suggestion: the right name, if a name seems to be misspelt.
    """

    code: str
    path: str
    text: str
    suggestion: str | None = None

    def __str__(self) -> str:
        """Return the sentence."""
        return self.text


def describe(value: Any) -> str:  # noqa: ANN401  whatever a message has
    """Return what a value is, in the words of JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN or infinite"
    return next((words for kind, words in KINDS if isinstance(value, kind)), type(value).__name__)


def shorten(name: object) -> str:
    """Return a name as a text shows it: no longer than needed, and safe for a terminal."""
    text = str(name)
    return printable(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}...")
