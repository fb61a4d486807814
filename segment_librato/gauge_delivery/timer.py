"""The call `timer`: how long code takes, as a gauge in seconds.

Owns what is measured, by a clock that nobody sets. Must not know clients: whoever makes a timer
hands in the call `gauge`.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

from segment_librato.errors import SegmentError, ValidationError, unexpected
from segment_librato.gauge_delivery.calls import gauge_fields
from segment_librato.message.fields import check_optional_identifier
from segment_librato.process.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

    from segment_librato.message.fields import Identifier
else:
    Self = "Timer"  # for `typing.get_type_hints`; `typing` has it from Python 3.11 on

__all__ = ["Timer"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_NO_FUNCTIONS: tuple[type[Any], ...] = (type, staticmethod)


class Timer:
    """Measures the body of a `with`, or each call of a function that it decorates.

    A function may be called by several threads and tasks at the same time. A `with` that another
    thread enters meanwhile needs a timer of its own.
    """

    def __init__(
        self,
        gauge: Callable[Concatenate[str, float, str | None, Identifier | None, ...], object],
        name: str,
        source: str | None = None,
        user_id: Identifier | None = None,
    ) -> None:
        """Make a timer.

        Args:
            gauge: called with the name, the seconds, the source and the user.
            name: of the gauge.
            source: origin of the number.
            user_id: user that the number belongs to.

        Raises:
            ValidationError: one of them has a wrong type or value.
        """
        gauge_fields(name, 0, source, user_id)  # now, and not when the time is over
        check_optional_identifier("user_id", user_id)
        self._gauge = gauge
        self._arguments = name, source, user_id
        self._began: list[float] = []  # one for each `with` that is under way

    def __enter__(self) -> Self:
        """Begin to measure."""
        self._began.append(monotonic())
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Measure, also if the body raised something: that reaches the caller in any case."""
        name, source, user_id = self._arguments
        seconds = monotonic() - self._began.pop()
        try:
            self._gauge(name, seconds, source, user_id)
        except SegmentError:  # in `sync_mode`
            if exception is None:
                raise

    def __call__(self, function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        """Return a function whose calls are measured.

        Raises:
            ValidationError: it is a generator function, whose body runs after its call; or no
                function, such as a class or what `classmethod` makes of one.
        """
        from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction

        if not callable(function) or isinstance(function, _NO_FUNCTIONS):
            raise ValidationError(unexpected("timer", "a function to decorate", function))
        runs = (function, type(function).__call__)
        if any(isgeneratorfunction(one) or isasyncgenfunction(one) for one in runs):
            expected = "no generator function; use `with` in its body"
            raise ValidationError(f"timer: expected {expected}")
        gauge, (name, source, user_id) = self._gauge, self._arguments

        @wraps(function)
        def timed(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            with Timer(gauge, name, source, user_id):
                return function(*args, **kwargs)

        @wraps(function)
        async def timed_coroutine(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Any:  # noqa: ANN401  what the coroutine returns
            with Timer(gauge, name, source, user_id):
                return await cast("Any", function(*args, **kwargs))

        if any(map(iscoroutinefunction, runs)):
            return cast("Callable[Arguments, Result]", timed_coroutine)
        return timed
