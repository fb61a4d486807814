"""The programs of docs/scopes.md that need a framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from support.pages import Block

__all__ = ["variables_of"]


def variables_of(block: Block, /, **known: Any) -> dict[str, Any]:
    """Run a program of the page; return its variables.

    Args:
        block: the program.
        known: variables that it finds.
    """
    variables: dict[str, Any] = {"__name__": "page", **known}
    exec(compile(block.text, block.place, "exec"), variables)  # noqa: S102  our own page
    return variables
