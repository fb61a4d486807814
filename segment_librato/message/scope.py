"""What a call may leave out: the ids and the context of the scope that it is made in.

Owns which scope that is, in each thread and task, and what a message takes from it. Must not know
how scopes begin and end, or how anything is encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from segment_librato.errors import ValidationError
from segment_librato.foreign.interruption import being_handled, let_through
from segment_librato.foreign.narrowing import type_of
from segment_librato.message.fields import check_optional_identifier, copy_mapping

if TYPE_CHECKING:
    from segment_librato.message.fields import Identifier, Message

__all__ = [
    "Surroundings",
    "UserId",
    "copy_plain",
    "current_scope",
    "merge_contexts",
    "scopes_in_use",
    "user_in_scope",
]

UserId: TypeAlias = "str | Callable[[], Identifier | None] | None"

# To ask for a context variable is a call, and most programs have no scopes.
scopes_in_use: list[bool] = []  # empty until the first one begins


class Surroundings(NamedTuple):
    """A scope that has begun, merged with those around it.

    Attributes:
        user: who acts: an id, a function that returns it, or None.
        anonymous_id: who acts, before they were known.
        context: plain JSON, of which every message gets a copy.
        owner: what ends the scope.
        outer: the scope around it.
    """

    user: UserId
    anonymous_id: str | None
    context: Message
    owner: object
    outer: Surroundings | None

    def user_id(self) -> str | None:
        """Return the id of the user, None if there is none.

        Raises:
            ValidationError: the function that the scope has for it raised something, or returned
                what cannot be an id.
        """
        if not callable(self.user):
            return self.user
        handled = being_handled()
        try:
            value = self.user()
        except Exception as error:
            let_through(error, handled)
            problem = f"user_id: the function of the scope raised {type(error).__name__}"
            raise ValidationError(problem) from error
        return check_optional_identifier("user_id", value) or None

    def complete(
        self,
        user_id: Identifier | None,
        anonymous_id: Identifier | None,
        context: Mapping[str, Any] | None,
    ) -> tuple[str | None, str | None, Mapping[str, Any] | None]:
        """Return the ids and the context of a call that was given these.

        The ids are one person: a call that names another one gets neither.

        Raises:
            ValidationError: one of them has a wrong type or value, or there is no id.
        """
        user = anonymous = None
        if user_id is not None or anonymous_id is not None:
            user = check_optional_identifier("user_id", user_id)
            anonymous = check_optional_identifier("anonymous_id", anonymous_id)
        if user is None and anonymous is None:
            user, anonymous = self.user_id(), self.anonymous_id
            if not (user or anonymous):
                raise ValidationError(
                    "user_id or anonymous_id: neither the call nor its scope has one"
                )
        elif anonymous is None and user == self.user:  # a function is not asked for a call's own
            anonymous = self.anonymous_id
        if not self.context:
            return user, anonymous, context
        own = copy_mapping("context", context)
        return user, anonymous, merge_contexts(copy_plain(self.context), own)


current_scope: ContextVar[Surroundings | None] = ContextVar("segment_librato scope", default=None)


def user_in_scope() -> str | None:
    """Return the id of the user of the current scope, None if there is none.

    Raises:
        ValidationError: as `Surroundings.user_id`.
    """
    scope = current_scope.get()
    return scope.user_id() if scope else None


def copy_plain(container: Message) -> Message:
    """Return a copy of plain JSON. Whoever gets a message may change it."""
    copy: Message = {}
    for name, value in container.items():
        kind = type_of(value)
        if kind is dict:
            copy[name] = copy_plain(value)
        elif kind is list or kind is tuple:
            copy[name] = _copy_items(value)
        else:
            copy[name] = value
    return copy


def _copy_items(items: Sequence[Any]) -> list[Any]:
    copies = copy_plain({str(at): item for at, item in enumerate(items)})
    return [*copies.values()]


def merge_contexts(under: Mapping[str, Any], over: Mapping[str, Any]) -> Message:
    """Return one context on top of another. Only what is for Librato is merged key by key."""
    context = {**under, **over}
    settings = under.get("Librato")
    if isinstance(settings, Mapping):
        for name, value in over.items():  # the mapper takes any spelling, but this one first
            if isinstance(name, str) and name.lower() == "librato":
                context.pop("Librato", None)
                context[name] = {**settings, **value} if isinstance(value, Mapping) else value
    return context
