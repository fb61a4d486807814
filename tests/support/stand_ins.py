"""Objects that stand for others, as those of wrapt, Werkzeug and Django do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from segment_librato import Client

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["STAND_INS", "Lazy", "LocalProxy", "Unbound", "Wrapped", "expect_left_out", "lazy_call"]


class Wrapped:
    """A proxy as those of wrapt: it gives the class of what it stands for as its own."""

    __slots__ = ("__wrapped__",)
    __wrapped__: Any

    def __init__(self, wrapped: object) -> None:
        object.__setattr__(self, "__wrapped__", wrapped)

    @property  # type: ignore[misc]  # it may not be set
    def __class__(self) -> Any:
        return self.__wrapped__.__class__


class LocalProxy:
    """A proxy as those of Werkzeug and Flask."""

    __slots__ = ("_get_current_object",)
    _get_current_object: Callable[[], Any]

    def __init__(self, value: object) -> None:
        object.__setattr__(self, "_get_current_object", lambda: value)

    @property  # type: ignore[misc]  # it may not be set
    def __class__(self) -> Any:
        return self._get_current_object().__class__


class Lazy:
    """An object as the `SimpleLazyObject` of Django: made when it is first asked for anything."""

    _wrapped: object = "not made yet"

    def __init__(self, value: object) -> None:
        self.__dict__["value"] = value

    @property  # type: ignore[misc]  # it may not be set
    def __class__(self) -> Any:
        self.__dict__["_wrapped"] = self.__dict__["value"]
        return self._wrapped.__class__


def lazy_call(value: object) -> Any:
    """Return what Django's `lazy(function, type)` makes of a call.

    It has the methods of the type, but neither its class nor the registration of an ABC.
    """

    class __proxy__:  # noqa: N801  the name is part of that of the method
        def __cast(self) -> object:  # not unused: what needs the value calls it
            return value

    def delegate(name: str) -> Callable[..., Any]:
        return lambda _, *args: getattr(value, name)(*args)

    for name in set(dir(type(value))) - set(dir(__proxy__)):
        if callable(getattr(type(value), name)):
            setattr(__proxy__, name, delegate(name))
    return __proxy__()


class Unbound:
    """A proxy of the current request, outside of any."""

    def _get_current_object(self) -> NoReturn:
        raise ZeroDivisionError

    @property  # type: ignore[misc]  # it may not be set
    def __class__(self) -> Any:
        return str


STAND_INS: list[Callable[[object], Any]] = [Wrapped, LocalProxy, Lazy, lazy_call]


def expect_left_out(none: Any) -> None:
    """Check that arguments which stand for None are as if they had been left out."""
    client = Client("test-key", send=False)
    _, message = client.track(none, "event", none, none, none, "anonymous", none, none)
    assert (message["userId"], message["properties"]) == (None, {})
    assert len(message["messageId"]) >= 32
    assert message["timestamp"].endswith("+00:00")
    _, message = client.gauge("depth", 3, none, none)
    assert (message["userId"], message["anonymousId"]) == (None, "depth")
