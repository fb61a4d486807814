"""The one way in which this library holds a lock in code that the main thread may run.

Knows nothing else of the library.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

__all__ = ["locked"]


class _Guarded(Protocol):
    lock: threading.RLock


Guarded = TypeVar("Guarded", bound=_Guarded)
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def locked(
    method: Callable[Concatenate[Guarded, Arguments], Result],
) -> Callable[Concatenate[Guarded, Arguments], Result]:
    """Run a method under the `lock` of its object.

    The lock is taken and let go on one line, and not by `Condition.__enter__`, which is Python
    code: Ctrl-C between two lines would leave it held for ever.
    """

    @wraps(method)
    def call(self: Guarded, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        # fmt: off
        with self.lock: return method(self, *args, **kwargs)  # noqa: E701  see above
        # fmt: on

    return call
