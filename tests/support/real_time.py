"""Tests of limits that are real seconds, on a machine that may stop any process for longer."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, ParamSpec

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["in_real_time"]

TRIES = 4

Arguments = ParamSpec("Arguments")


def in_real_time(test: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Repeat a test a few times if it fails: the machine may have held it up.

    A library that is too slow is so each time. Only for tests of the seconds that something takes,
    where there is nothing to wait for instead.
    """

    @wraps(test)
    def make(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        for _ in range(TRIES - 1):
            try:
                return test(*args, **kwargs)
            except (AssertionError, pytest.fail.Exception):
                continue
        return test(*args, **kwargs)

    return make
