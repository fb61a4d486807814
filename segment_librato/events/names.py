"""Whether a name is another one, misspelt.

Names are the same if they have the same words, whatever their case, order and what separates them:
"order_completed", "Completed Order". A single slip in a long word counts, too: a letter too many,
too few, wrong, or two of them swapped. Pure. Must not know Segment's names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["find_similar", "in_snake_case", "is_camel_case"]

MIN_LENGTH = 5  # of a word, for a slip: shorter ones are too often others, as are cart and card
MAX_LENGTH = 100  # of a name that may be a known one
HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
WORD = re.compile(r"[^\W_]+")
CAMEL_CASE = re.compile(r"[a-z][a-z0-9]*(?:[A-Z][a-z0-9]*)+")


def find_similar(name: str, known: Iterable[str], *, with_plurals: bool = False) -> str | None:
    """Return the known name that this one looks like; None if it is one, or like none of them.

    Args:
        name: the name.
        known: the right names.
        with_plurals: whether an s too many or too few at the end of a word is a slip.
    """
    known = tuple(known)
    if name in known or len(name) > MAX_LENGTH:
        return None
    words = _words(name)
    if found := _by_words(known).get("".join(sorted(words))):
        return found
    for one in known:
        others = _words(one)
        if len(others) != len(words):
            continue
        pairs = [pair for pair in zip(words, others, strict=True) if pair[0] != pair[1]]
        if len(pairs) == 1 and _is_slip(*pairs[0], with_plurals=with_plurals):
            return one
    return None


def is_camel_case(name: str) -> bool:
    """Return whether a name is like `orderTotal`."""
    return bool(CAMEL_CASE.fullmatch(name))


def in_snake_case(name: str) -> str:
    """Return `order_total` for `orderTotal`."""
    return "_".join(_words(name))


@lru_cache(maxsize=32)
def _by_words(known: tuple[str, ...]) -> dict[str, str]:
    return {"".join(sorted(_words(name))): name for name in known}


@lru_cache(maxsize=1024)
def _words(name: str) -> tuple[str, ...]:
    return tuple(WORD.findall(HUMP.sub(" ", name).casefold()))


def _is_slip(word: str, right: str, *, with_plurals: bool) -> bool:
    """Return whether a word is the right one but for one letter."""
    if len(right) < MIN_LENGTH or abs(len(word) - len(right)) > 1:
        return False
    if not with_plurals and (word, right) in {(f"{right}s", right), (word, f"{word}s")}:
        return False
    start = next((at for at, (a, b) in enumerate(zip(word, right, strict=False)) if a != b), None)
    if start is None:
        return True  # the last letter is missing, or one too many
    rest, right_rest = word[start:], right[start:]
    return (
        rest[1:] == right_rest
        or rest == right_rest[1:]
        or rest[1:] == right_rest[1:]
        or (rest[1::-1], rest[2:]) == (right_rest[:2], right_rest[2:])
    )
