"""A disk that fails, for what a test puts in the place of a system call."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["failing"]


def failing(number: int) -> Callable[..., NoReturn]:
    """Return a function that fails with this `errno`, whatever its arguments are."""

    def fail(*_: object, **_options: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail
