"""What the tests of servers need: a port that nobody else takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.ports import reserved_port

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def port() -> Iterator[int]:
    """Reserve a port of 127.0.0.1 for a server."""
    with reserved_port() as reserved:
        yield reserved
