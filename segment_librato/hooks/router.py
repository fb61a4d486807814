"""The router of a client with hooks: they see each message before it is sent.

Owns what becomes of a message that a hook leaves out, or that a hook is to blame for. Must not know
what the hooks do, or how a message is sent.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from segment_librato.encoding.encoder import message_encoder
from segment_librato.encoding.sizes import estimated_size, largest_part
from segment_librato.errors import HookError, MessageTooLargeError
from segment_librato.message.fields import MAX_MESSAGE_BYTES
from segment_librato.router import Router

if TYPE_CHECKING:
    from segment_librato.config.client import Config
    from segment_librato.delivery.report import Reporter
    from segment_librato.hooks.steps import Steps
    from segment_librato.message.fields import Message
    from segment_librato.process.clock import Clock

__all__ = ["HookedRouter", "make_router"]

MAX_COPY_BYTES = 1024 * 1024  # of a message that `before_send` may make smaller
MAX_DEPTH = 3  # of hooks that track, and signal handlers that do so meanwhile
MAX_KNOWN = 100  # texts of errors, of which each is logged once

# How many hooks are under way in this thread, task or greenlet.
_depth: ContextVar[int] = ContextVar("segment_librato hooks", default=0)


def make_router(config: Config, report: Reporter, clock: Clock | None = None) -> Router:
    """Return the router of a client: with hooks, if there are any that see messages.

    Raises:
        ConfigError: an option is wrong, or needs a package that is not installed.
    """
    hooks = (config.before_send, config.default_context, config.sample_rate, config.trace_context)
    if not any(hooks):
        return Router(config, report, clock)
    from segment_librato.hooks.steps import Steps  # few need it

    return HookedRouter(config, report, clock, Steps(config))


class HookedRouter(Router):
    """A router that has messages changed or left out first. Thread-safe."""

    def __init__(self, config: Config, report: Reporter, clock: Clock | None, steps: Steps) -> None:
        """Make a router.

        Args:
            config: the client's options.
            report: told about messages that will not be delivered.
            clock: the clock of waits.
            steps: what the hooks do.

        Raises:
            ConfigError: an option needs an extra that is not installed.
        """
        super().__init__(config, report, clock)
        self._steps = steps
        self._copy = message_encoder(MAX_COPY_BYTES)
        self._known: set[str] = set()

    def accept(self, message: Message) -> tuple[bool, Message]:
        """Run the hooks, then do as a router without any does.

        Returns:
            True and the message as it was, for one that was left out, as with `send=False`: the
            application wants it so. False, and the message, if a hook was to blame.

        Raises:
            MessageTooLargeError: the message exceeds 32 KB, and no hook is to blame.
            SegmentError: in `sync_mode`, it was not delivered, and there is no `on_error`.
        """
        if self._steps.leaves_out(message):
            return self._drop(message)
        if not self._steps.change_messages:
            return super().accept(message)
        outcome = self._run_hooks(message)
        if isinstance(outcome, tuple):
            return outcome
        try:
            return super().accept(outcome)
        except MessageTooLargeError as error:
            if not self._fits(message):
                raise
            problem = str(error)
        return self._reject(HookError(f"{self._steps.last}: {problem}"), message)

    def _run_hooks(self, message: Message) -> Message | tuple[bool, Message]:
        """Return the message to send, or the result of the call if there is none.

        Raises:
            MessageTooLargeError: not even a hook is given such a large message.
        """
        depth = _depth.get()
        if depth >= MAX_DEPTH:
            problem = "it tracks whatever message it is given, and so calls itself"
            return self._reject(HookError(f"{self._steps.last}: {problem}"), message)
        try:  # it is set back, wherever a signal handler strikes
            _depth.set(depth + 1)
            changed = self._steps.with_context(message)
            if isinstance(changed, HookError):
                return self._reject(changed, message)
            return self._ask(changed) if self._steps.has_before_send else changed
        finally:
            _depth.set(depth)

    def _ask(self, message: Message) -> Message | tuple[bool, Message]:
        try:
            data, as_sent = self._copy(message)
        except MessageTooLargeError:
            raise _too_large(message) from None
        answer = self._steps.before_send(data, as_sent["type"])
        if isinstance(answer, HookError):
            return self._reject(answer, as_sent, data)
        return self._drop(as_sent) if answer is None else answer

    def _drop(self, message: Message) -> tuple[bool, Message]:
        self.queue.ledger.count_drop()
        return True, message

    def _reject(
        self, error: HookError, message: Message, data: bytes | None = None
    ) -> tuple[bool, Message]:
        """Report a message that a hook is to blame for."""
        if data is None:
            try:
                data, message = self._copy(message)
            except MessageTooLargeError:
                raise _too_large(message) from None
        text = str(error)
        error.is_first = text not in self._known and len(self._known) < MAX_KNOWN
        if error.is_first:
            self._known.add(text)
        self.queue.ledger.count_rejection()
        self._report.rejection(error, data)
        return False, message

    def _fits(self, message: Message) -> bool:
        """Return whether a message could be sent as it was before the hooks."""
        try:
            return len(self._copy(message)[0]) <= MAX_MESSAGE_BYTES
        except MessageTooLargeError:
            return False


def _too_large(message: Message) -> MessageTooLargeError:
    error = MessageTooLargeError(f"message: expected at most {MAX_MESSAGE_BYTES} bytes of JSON")
    return error.with_largest(largest_part(message), estimated_size(message))
