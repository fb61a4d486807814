"""The exit statuses of commands; docs/command-line.md says what they mean.

Must not know commands.
"""

from __future__ import annotations

__all__ = ["INTERRUPTED", "NOT_DONE", "TERMINATED", "WRONG_USAGE"]

NOT_DONE = 1
WRONG_USAGE = 2
INTERRUPTED = 130  # as a shell reports a program that SIGINT has ended
TERMINATED = 143  # the same with SIGTERM
