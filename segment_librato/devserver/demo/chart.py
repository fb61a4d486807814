"""The gauges as bars, in characters that the terminal has.

Owns the drawing. Must not know where the values come from.
"""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING

from segment_librato.devserver.demo.plan import MAX_VALUE, SECONDS, WEB_SERVERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from segment_librato.devserver.terminal import Terminal

__all__ = ["draw", "draw_gauges"]

BLOCKS = " ▁▂▃▄▅▆▇█"
PLAIN_BLOCKS = " .:-=+*%#"
ROWS = 2
LABEL_WIDTH = 16


def draw(values: Sequence[float], blocks: str) -> list[str]:
    """Return rows of bars, the upper one first; even the lowest bar is visible."""
    steps = len(blocks) - 1
    heights = [max(1, round(value / MAX_VALUE * ROWS * steps)) for value in values]
    return [
        "".join(blocks[min(max(height - row * steps, 0), steps)] for height in heights).rstrip()
        for row in reversed(range(ROWS))
    ]


def draw_gauges(gauges: Mapping[str, Sequence[float]], terminal: Terminal) -> list[str]:
    """Return the lines of a chart: each gauge with its shape, mean and range."""
    blocks = BLOCKS if terminal.can_show(BLOCKS) else PLAIN_BLOCKS
    lines: list[str] = []
    for web_server in WEB_SERVERS:
        values = gauges.get(web_server.source, ())
        facts = f"{len(values)} of {SECONDS} values"
        if values:
            facts += f": mean {mean(values):.0f}, {min(values):.0f} to {max(values):.0f}"
        upper, lower = draw(values, blocks)
        label = web_server.source.ljust(LABEL_WIDTH)
        lines += [
            terminal.paint(label, "bold") + terminal.paint(upper, "green"),
            web_server.shape.ljust(LABEL_WIDTH) + terminal.paint(lower, "green"),
            " " * LABEL_WIDTH + terminal.paint(facts, "dim"),
        ]
    return [line.rstrip() for line in lines]
