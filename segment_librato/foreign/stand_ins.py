"""Values that stand for others: proxies and lazy objects of frameworks, and texts made on demand.

Known by what their types have, so that nothing is imported for their sake. Must not know anything
else of the library.
"""

from __future__ import annotations

from typing import Any

from segment_librato.foreign.narrowing import type_of

__all__ = ["as_str", "is_text", "resolved", "stands_for"]

MAX_PROXIES = 10  # of one another


def stands_for(value: Any) -> Any:  # noqa: ANN401  any value
    """Return what a proxy stands for; any other value as it is.

    A proxy gives the class of what it stands for as its own, and has

    - `_get_current_object()`: `LocalProxy` of Werkzeug and Flask,
    - `__wrapped__`: those of wrapt and lazy-object-proxy,
    - `_wrapped`, once it was asked for anything: `SimpleLazyObject` of Django.

    What `lazy` of Django makes keeps its own class; it has `__cast()`, under its private name.

    Raises:
        Exception: anything, as the code of the proxy runs.
    """
    for _ in range(MAX_PROXIES):
        kind = type_of(value)
        if value.__class__ is kind:
            # The name first: to ask for a method that is not there takes longer than all else.
            if kind.__name__ != "__proxy__" or not hasattr(kind, "_proxy____cast"):
                return value
            value = value._proxy____cast()  # noqa: SLF001  there is no other way
        elif hasattr(kind, "_get_current_object"):
            value = value._get_current_object()  # noqa: SLF001  documented
        elif hasattr(kind, "__wrapped__"):
            value = value.__wrapped__
        elif hasattr(kind, "_wrapped"):
            value = value._wrapped  # noqa: SLF001  there is no other way
        else:
            return value
    return value


def is_text(value: object) -> bool:
    """Return whether a value is a str, or does all that one does, as UserString and lazy texts."""
    return isinstance(value, str) or hasattr(type(value), "casefold")


def as_str(value: Any) -> str:  # noqa: ANN401  the same
    """Return a text as a plain str: the value of a str Enum, the translation of a lazy text.

    Raises:
        Exception: anything, as the code of the text may run.
    """
    return str.__str__(value if issubclass(type_of(value), str) else str(value))


def resolved(value: object) -> Any:  # noqa: ANN401  any value
    """Return what a value stands for, and a text as a plain str.

    Raises:
        Exception: anything, as the code of the value may run.
    """
    target = stands_for(value)
    return as_str(target) if is_text(target) else target
