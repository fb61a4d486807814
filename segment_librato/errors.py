"""Every error this library raises or hands to `on_error`.

    SegmentError                    .status .code .message .retry_after
    ├── ConfigError                 an option is wrong (also AssertionError, ValueError)
    ├── ValidationError             a call's argument is wrong (also AssertionError, ValueError)
    ├── MessageTooLargeError        a message exceeds 32 KB (also RuntimeError)
    ├── RejectionError              a message was not accepted
    │   ├── QueueFullError          too many messages wait
    │   ├── ClientClosedError       the client was shut down
    │   └── HookError               a hook raised, or made the message unfit to be sent
    ├── ShutdownTimeoutError        left over at the deadline of a shutdown or of the exit
    ├── ImportStoppedError          an import ended before every row had an outcome
    ├── SpoolError                  a message was in the spool, and is given up
    │   ├── SpoolFullError          it was the oldest when the spool was full
    │   ├── SpoolExpiredError       it was too old
    │   └── SpoolCorruptError       its file was damaged
    └── DeliveryError               a request did not succeed
        ├── APIError                the server answered without success
        └── NetworkError            no response: connection, TLS, proxy, timeout

The second base classes are those that segment-analytics-python raises, so that existing
handlers keep catching. Texts name fields, options, types, counts and hosts; never a
payload, a write key or a token. All of them are printable, whatever a server sent. They leave the
library without their frames, whose local variables error trackers upload.

It is long because all of them are here, where each can be told from its neighbors. Must not know
who raises them, or why.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from segment_librato.foreign.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "APIError",
    "ClientClosedError",
    "ConfigError",
    "DeliveryError",
    "HookError",
    "ImportStoppedError",
    "MessageTooLargeError",
    "NetworkError",
    "QueueFullError",
    "RejectionError",
    "SegmentError",
    "ShutdownTimeoutError",
    "SpoolCorruptError",
    "SpoolError",
    "SpoolExpiredError",
    "SpoolFullError",
    "ValidationError",
    "raised_anew",
    "unexpected",
    "without_frames",
]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Error = TypeVar("Error", bound="SegmentError")


class SegmentError(Exception):
    """The base of all errors of this library.

    Attributes:
        message: what happened, in a sentence.
        code: a short identifier for programs.
        status: the HTTP status, if a server answered.
        retry_after: seconds the server asked to wait, if it did.
        bytes_sent: bytes of the request body that was not accepted, after compression.
        is_splittable: whether a single message may be to blame, so that the others of its batch
            may succeed without it.
    """

    code: str = "error"
    is_splittable: bool = False
    bytes_sent: int = 0

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))
        self.message: str = printable(message)
        self.status: int | None = None
        self.retry_after: float | None = None


class ConfigError(SegmentError, AssertionError, ValueError):
    """A setting is wrong; the text names it.

    Raised for an option with a wrong type or value. Handed to `on_error` if only sending shows
    that a setting, perhaps one of the environment, rules out every request.
    """

    code = "config"


class ValidationError(SegmentError, AssertionError, ValueError):
    """An argument of a call had a wrong type or value; the text names the field."""

    code = "validation"


class MessageTooLargeError(SegmentError, RuntimeError):
    """A message exceeded the 32 KB that the Segment API accepts.

    Its `args` are the three of segment-analytics-python, which applications look at; the last
    has the length of the message, and says what it is too large for instead of holding it.

    Attributes:
        size: about how many bytes of JSON it has; 0 if that is not known.
    """

    code = "message_too_large"

    def __init__(self, message: str, size: int = 0) -> None:
        super().__init__(message)
        self.size = size
        self.args: tuple[Any, ...] = (
            "Message exceeds %skb limit. (%s)",
            "32",
            _Withheld(message, size),
        )

    def __str__(self) -> str:
        """Return what happened, in a sentence."""
        return self.message

    def with_largest(self, part: str, size: int) -> MessageTooLargeError:
        """Return the same error with the name of the part that is to blame.

        Args:
            part: where in the message it is.
            size: about how many bytes the message has, for an error that does not know.
        """
        known = self.size or size
        about = "" if self.size else f", got about {size}"
        return MessageTooLargeError(f"{self.message}{about}; the largest part is {part}", known)

    def __reduce__(self) -> tuple[type[MessageTooLargeError], tuple[str, int], dict[str, object]]:
        """Let pickle and copy rebuild the error from its arguments."""
        return type(self), (self.message, self.size), vars(self)


class _Withheld(str):
    """A text in the place of a message: `len()` is that of the message."""

    __slots__ = ("_length",)
    _length: int

    def __new__(cls, text: str, length: int) -> _Withheld:  # noqa: PYI034  `typing` has no Self before 3.11
        withheld = super().__new__(cls, text)
        withheld._length = length
        return withheld

    def __len__(self) -> int:
        return self._length

    def __reduce__(self) -> tuple[type[_Withheld], tuple[str, int]]:
        return type(self), (str.__str__(self), self._length)


class RejectionError(SegmentError):
    """A message was rejected: it was not accepted, and will not be sent.

    Attributes:
        is_first: whether it is the first of a series of rejections for this reason.
    """

    is_first = True


class QueueFullError(RejectionError):
    """A message was rejected because the queue was full."""

    code = "queue_full"


class ClientClosedError(RejectionError):
    """A message was rejected because the client had been shut down."""

    code = "client_closed"


class HookError(RejectionError):
    """A message was rejected because of a hook; the text names the hook and what it did.

    It raised something, or it returned what cannot be sent.
    """

    code = "hook"


class ShutdownTimeoutError(SegmentError):
    """Messages were still undelivered when a shutdown or the exit ran out of time.

    Those of a request that was in flight may have arrived.
    """

    code = "shutdown_timeout"


class ImportStoppedError(SegmentError):
    """An import ended although some rows could be neither delivered nor rejected.

    Attributes:
        error: why: the last error of a request that would have been tried again, or one that no
            row is to blame for, such as 401; or that more rows were rejected than allowed.
        unsettled: how many rows were read and have no outcome; some of them may have arrived.
        delivered: how many rows were delivered before.
        rejected: how many rows were rejected before.
    """

    code = "import_stopped"

    def __init__(
        self, error: SegmentError, unsettled: int, delivered: int = 0, rejected: int = 0
    ) -> None:
        """Make an error of the one that stopped the import."""
        super().__init__(f"the import stopped: {error}; rows without an outcome: {unsettled}")
        self.error = error
        self.unsettled = unsettled
        self.delivered = delivered
        self.rejected = rejected

    def __reduce__(self) -> tuple[type[ImportStoppedError], tuple[object, ...], dict[str, object]]:
        """Let pickle and copy rebuild the error from its arguments."""
        made_of = (self.error, self.unsettled, self.delivered, self.rejected)
        return type(self), made_of, vars(self)


class SpoolError(SegmentError):
    """Messages were in the spool, and will not be delivered."""

    code = "spool"


class SpoolFullError(SpoolError):
    """The spool was full; the oldest messages were dropped to make room."""

    code = "spool_full"


class SpoolExpiredError(SpoolError):
    """Messages were in the spool for too long."""

    code = "spool_expired"


class SpoolCorruptError(SpoolError):
    """A part of a file could not be read, and was moved away; or the file is gone.

    Attributes:
        path: where it is now, or was.
        bytes: its size; 0 if it is gone.
        lost: how many messages of this process were in it, and nowhere else; 0 for what another
            process wrote, as nobody knows.
    """

    code = "spool_corrupt"

    def __init__(self, path: str, size: int, lost: int = 0, text: str = "") -> None:
        """Make an error.

        Args:
            path: where the part is now.
            size: its bytes.
            lost: how many messages of this process were in it.
            text: what happened, if it was not moved to `path`.
        """
        super().__init__(text or f"unreadable bytes of the spool: {size}, moved to {path}")
        self.path = path
        self.bytes = size
        self.lost = lost

    def __reduce__(self) -> tuple[type[SpoolCorruptError], tuple[object, ...], dict[str, object]]:
        """Let pickle and copy rebuild the error from its arguments."""
        return type(self), (self.path, self.bytes, self.lost, self.message), vars(self)


class DeliveryError(SegmentError):
    """A request did not deliver its batch."""

    code = "delivery"


class APIError(DeliveryError):
    """The server answered with a status other than success.

    `message` and `code` come from the response's JSON body if it has them. The text of the error
    holds neither, because a server may repeat in them what it was sent.
    """

    is_splittable = True

    def __init__(
        self,
        status: int,
        code: str = "unknown",
        message: str = "",
        retry_after: float | None = None,
        text: str = "",
    ) -> None:
        """Make an error from a response.

        Args:
            status: the HTTP status.
            code: the server's code for the error.
            message: the server's text.
            retry_after: seconds it asks to wait.
            text: our own text, with nothing in it that the server wrote.
        """
        super().__init__(text or f"the server answered {status}")
        self.status: int = status  # pyright: ignore[reportIncompatibleVariableOverride]  always
        self.code: str = printable(code)
        self.message: str = printable(message) or self.message
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[type[APIError], tuple[object, ...], dict[str, object]]:
        """Let pickle and copy rebuild the error from its arguments, not from its text."""
        made_of = (self.status, self.code, self.message, self.retry_after, str(self))
        return type(self), made_of, vars(self)


class NetworkError(DeliveryError):
    """No response came: the connection, TLS or a proxy failed, or time ran out."""

    code = "network"


def unexpected(name: str, expected: str, value: object) -> str:
    """Return an error text: what `name` should be, and the type that it has instead."""
    came = "an empty str" if type(value) is str and not value else type(value).__name__
    return f"{name}: expected {expected}, got {came}"


def without_frames(error: Error) -> Error:
    """Return an error without its traceback, cause and context, all of which have frames."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error


def raised_anew(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Have a function raise our errors without the frames of what it calls."""

    @wraps(function)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        except SegmentError as error:
            raise without_frames(error)  # noqa: B904  it is the same one

    return call
