"""The function `scope`: whose calls these are, said once for a request, a task or a job.

Owns how scopes begin and end, how one inside another is merged with it, and what of them another
process gets. Must not know messages, beyond what they take from a scope, or any framework.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from segment_librato.encoding.strict import encode
from segment_librato.errors import MessageTooLargeError, ValidationError, unexpected
from segment_librato.foreign.interruption import Suppressed
from segment_librato.message.fields import (
    MAX_MESSAGE_BYTES,
    Identifier,
    Message,
    check_optional_identifier,
    copy_mapping,
    plain,
)
from segment_librato.message.scope import (
    Surroundings,
    UserId,
    copy_plain,
    current_scope,
    merge_contexts,
    scopes_in_use,
)
from segment_librato.tracking import AnyContext

if TYPE_CHECKING:
    from typing_extensions import Self
else:
    Self = "Scope"  # for `typing.get_type_hints`; `typing` has it from Python 3.11 on

__all__ = ["Scope", "scope", "scope_to_carry"]


class Scope:
    """What calls inside a `with` may leave out; see `scope`, which makes it.

    It can be used again, also by several threads and tasks at the same time.
    """

    def __init__(self, user: UserId, anonymous_id: str | None, context: Message) -> None:
        """Make a scope of values that are checked, and a context of plain JSON."""
        self._user = user
        self._anonymous_id = anonymous_id
        self._context = context

    def __enter__(self) -> Self:
        """Begin the scope, in this thread or task and in the tasks that it starts."""
        outer = current_scope.get()
        user, anonymous_id, context = self._user, self._anonymous_id, self._context
        if outer:
            context = merge_contexts(outer.context, context)
            if anonymous_id is None and outer.anonymous_id and _may_be(user, outer):
                anonymous_id = outer.anonymous_id
            user = outer.user if user is None else user
        if not scopes_in_use:
            scopes_in_use.append(True)
        current_scope.set(Surroundings(user, anonymous_id, context, self, outer))
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the scope, and those inside that a generator has left open."""
        begun = current_scope.get()
        while begun and begun.owner is not self:
            begun = begun.outer
        if begun:  # else another task ends it, such as one that closes a generator
            current_scope.set(begun.outer)


def scope(
    user_id: Identifier | Callable[[], Identifier | None] | None = None,
    anonymous_id: Identifier | None = None,
    context: AnyContext | None = None,
) -> Scope:
    """Say once whose calls these are, and in which circumstances.

        with analytics.scope(user_id="user-1", context={"locale": "de-DE"}):
            analytics.track(event="Order Completed")

    Calls of every client inside the `with`, and of functions that it calls, may leave out the ids,
    and get the context under their own. A call that names another user gets neither id. Tasks that
    start inside are in the scope, too; threads are not. One scope inside another adds to it.

    Args:
        user_id: Id of the user in your application; or a function that returns it, or None, for
            each call that leaves it out.
        anonymous_id: Id of a user who is not known yet.
        context: Facts about the circumstances. It is copied.

    Returns:
        A context manager. A plain `with` is right in a coroutine, too.

    Raises:
        ValidationError: an argument has a wrong type or value; the text names it.
    """
    user: Identifier | Callable[[], Identifier | None] | None = plain("user_id", user_id)
    return Scope(
        user if callable(user) else _identifier("user_id", user),
        _identifier("anonymous_id", anonymous_id),
        _context(context),
    )


scope.__module__ = "segment_librato"


def scope_to_carry() -> dict[str, Any]:
    """Return the arguments that make the same scope elsewhere, as plain JSON; empty for none.

    Raises:
        ValidationError: the function that the scope has for the user raised something.
    """
    current = current_scope.get()
    if not current:
        return {}
    arguments = {
        "user_id": current.user_id(),
        "anonymous_id": current.anonymous_id,
        "context": copy_plain(current.context),
    }
    return {name: value for name, value in arguments.items() if value}


def _may_be(user: UserId, outer: Surroundings) -> bool:
    """Return whether a user may be the person of a scope; then the anonymous id is theirs, too."""
    if user is None:
        return True
    with Suppressed(ValidationError):  # a function that cannot say who it is
        return outer.user_id() in {None, user}
    return False


def _identifier(field: str, value: Identifier | None) -> str | None:
    text = check_optional_identifier(field, value)
    if text == "":
        raise ValidationError(unexpected(field, "a non-empty str, a number or None", text))
    return text


def _context(value: AnyContext | None) -> Message:
    """Return a context as plain JSON that nobody else can change."""
    try:
        _, as_sent = encode(copy_mapping("context", value), MAX_MESSAGE_BYTES)
    except MessageTooLargeError:
        expected = f"at most {MAX_MESSAGE_BYTES} bytes of JSON"
        raise ValidationError(f"context: expected {expected}") from None
    return copy_plain(as_sent)
