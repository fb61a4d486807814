"""A sample of the fault matrix, for interpreters on which all of it would say little more.

`--fault-sample 200` runs that many of its cells. Which, a seed decides; the header of the run
names it, and `FAULT_SEED=... pytest --fault-sample 200` runs the same cells again.
"""

from __future__ import annotations

import os
import random
import secrets
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "draw",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_report_header",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fault-sample",
        type=int,
        metavar="CELLS",
        help="run this many cells of the fault matrix, drawn by FAULT_SEED, instead of all",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed before there are workers: they inherit it, and all draw the same cells."""
    if config.getoption("fault_sample") is not None:
        os.environ.setdefault("FAULT_SEED", str(secrets.randbelow(1_000_000)))


def pytest_report_header(config: pytest.Config) -> str:
    size = config.getoption("fault_sample")
    if size is None:
        return "fault matrix: every cell"
    return f"fault matrix: {size} cells, FAULT_SEED={os.environ['FAULT_SEED']}"


@pytest.hookimpl(trylast=True)  # after -m and -k: a sample of what they leave
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    size = config.getoption("fault_sample")
    if size is None:
        return
    cells = [item for item in items if item.get_closest_marker("fault_cell")]
    drawn = set(draw([cell.nodeid for cell in cells], size, os.environ["FAULT_SEED"]))
    left_out = [cell for cell in cells if cell.nodeid not in drawn]
    config.hook.pytest_deselected(items=left_out)
    excluded = set(left_out)
    items[:] = [item for item in items if item not in excluded]


def draw(names: Sequence[str], size: int, seed: str) -> list[str]:
    """Return the names that a seed draws: the same each time, wherever it is asked."""
    chosen = random.Random(seed)  # noqa: S311  not a secret
    return chosen.sample(sorted(names), min(size, len(names)))
