"""What the hooks do to one message.

Owns who is in a sample, how contexts are merged, and what `before_send` may return. A hook that
raises has an error for its result. Must not know queues, or what becomes of the message.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from segment_librato.delivery.report import raised_at
from segment_librato.encoding.decoder import decode, json_decoder
from segment_librato.encoding.encoder import message_encoder
from segment_librato.encoding.strict import encode
from segment_librato.errors import ConfigError, HookError, MessageTooLargeError, unexpected
from segment_librato.foreign.interruption import being_handled, let_through
from segment_librato.foreign.narrowing import is_dict, is_mapping
from segment_librato.hooks.answer import problem_of
from segment_librato.message.fields import MAX_MESSAGE_BYTES
from segment_librato.message.scope import merge_contexts

if TYPE_CHECKING:
    from collections.abc import Callable

    from segment_librato.config.client import Config, DefaultContext
    from segment_librato.message.fields import Message

    GetContext = Callable[[], Mapping[str, Any] | None]

__all__ = ["Steps"]

HASHES = 2**64


class Steps:
    """The hooks of a client. Thread-safe, as far as the hooks are.

    Attributes:
        change_messages: whether there is more to do than to leave some out.
        has_before_send: whether there is such a hook.
        last: the name of the last hook that a message passes.
    """

    def __init__(self, config: Config) -> None:
        """Prepare the hooks.

        Raises:
            ConfigError: `default_context` is too large, or OpenTelemetry is not installed.
        """
        self._rates = config.sample_rate or {}
        self._before_send = config.before_send
        self._default = _context_maker(config.default_context) if config.default_context else None
        self._trace_ids = _trace_reader() if config.trace_context else None
        self._decode = _decoder()
        hooks = (config.before_send, config.default_context, config.trace_context)
        self.change_messages: bool = any(hooks)
        self.has_before_send: bool = bool(config.before_send)
        self.last: str = "before_send" if config.before_send else "default_context"

    def leaves_out(self, message: Message) -> bool:
        """Return whether the user of an event is not in the sample of events of this name.

        The users of a smaller share are among those of a larger one.
        """
        if not self._rates or message["type"] != "track":
            return False
        rate = self._rates.get(message["event"])
        if rate is None:
            return False
        user = message["userId"] or message["anonymousId"]
        digest = sha256(user.encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") >= rate * HASHES

    def with_context(self, message: Message) -> Message | HookError:
        """Return a message with the default context, and with the ids of the active span."""
        context = own = message["context"]
        if self._default:
            context = _called("default_context", _merged, own, self._default)
        if self._trace_ids and "trace" not in own and not isinstance(context, HookError):
            context = _called("trace_context", _traced, context, self._trace_ids)
        if isinstance(context, HookError):
            return context
        return message if context is own else {**message, "context": context}

    def before_send(self, data: bytes, message_type: str) -> Message | HookError | None:
        """Return what `before_send` makes of the message with this JSON; None drops it."""
        answer: object = _called("before_send", self._before_send, self._decode(data))
        if answer is None or isinstance(answer, HookError):
            return answer
        if not is_dict(answer):
            return HookError(unexpected("before_send", "a dict or None", answer))
        problem = problem_of(answer, message_type)
        return HookError(f"before_send: {problem}") if problem else answer


def _decoder() -> Callable[[bytes], Any]:
    """Return the fastest function that decodes JSON."""
    message_encoder()  # it imports orjson, and lives with it if that fails
    return json_decoder() if "orjson" in sys.modules else decode


def _called(name: str, function: Any, *arguments: object) -> Any:  # noqa: ANN401  the application's
    """Return what a function returns, or an error that says what it raised, and where."""
    handled = being_handled()
    try:
        return function(*arguments)
    except Exception as problem:  # noqa: BLE001  the application's code may raise anything
        let_through(problem, handled)
        return HookError(f"{name} raised {type(problem).__name__} at {raised_at(problem)}")


def _context_maker(default: DefaultContext) -> GetContext:
    """Return the function that makes the default context of a call.

    Raises:
        ConfigError: it fits in no message.
    """
    if not is_mapping(default):
        return default
    try:
        data, _ = encode(default, MAX_MESSAGE_BYTES)
    except MessageTooLargeError:
        expected = f"at most {MAX_MESSAGE_BYTES} bytes of JSON"
        raise ConfigError(f"default_context: expected {expected}") from None
    decode_fast = _decoder()
    return lambda: decode_fast(data)  # a copy: the application may change what a call returns


def _merged(own: Message, get_default: GetContext) -> Message | HookError:
    """Return the context of a call on top of the default one, whose `library` does not count."""
    default = get_default()
    if not isinstance(default, Mapping):
        if default is None:
            return own
        return HookError(unexpected("default_context", "a mapping or None", default))
    return merge_contexts(default, own)


def _trace_reader() -> Callable[[], Any]:
    """Return the function that returns the active span.

    Raises:
        ConfigError: OpenTelemetry is not installed.
    """
    handled = being_handled()
    try:
        from opentelemetry.trace import get_current_span  # few need it
    except ImportError as error:
        let_through(error, handled)
        needed = "pip install opentelemetry-api"
        raise ConfigError(f"trace_context: OpenTelemetry is not installed; {needed}") from None
    return get_current_span


def _traced(context: Message, get_span: Callable[[], Any]) -> Message:
    """Return a context with the ids of the active span, written as in a `traceparent`."""
    span = get_span().get_span_context()
    if not span.is_valid:
        return context
    ids = {"traceId": f"{span.trace_id:032x}", "spanId": f"{span.span_id:016x}"}
    return {**context, "trace": ids}
