"""The words of the API."""

from __future__ import annotations

import pytest

from segment_librato.devserver.segment.rules import find_drop_reasons, find_problem
from segment_librato.devserver.segment.words import in_api_words

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    "message,words",
    [
        ({"type": "track", "event": "X"}, "Identifier is not present"),
        ({"type": "track", "userId": "ada"}, "Track event is missing name"),
    ],
)
def test_a_rejection_has_the_words_of_the_documentation(
    message: dict[str, str], words: str
) -> None:
    problem = find_problem(message)
    assert in_api_words(problem) == f"{words}: {problem}"


@pytest.mark.parametrize("size,body", [(33_000, 34_000), (0, 500_001)])
def test_what_is_too_large_has_them_too(size: int, body: int) -> None:
    (reason,) = find_drop_reasons([{"type": "identify", "userId": "x" * size}], body)
    assert in_api_words(reason) == f"Payload is too large: {reason}"


def test_what_the_documentation_does_not_name_keeps_our_words() -> None:
    assert in_api_words("the type is unknown") == "the type is unknown"
