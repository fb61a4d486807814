"""The pictures that our pages draw with text show what there is."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from support.pages import ROOT, blocks_for

from segment_librato import Client, SegmentError, SpoolConfig
from segment_librato.queue.ledger import Ledger
from segment_librato.queue.message_queue import MessageQueue
from segment_librato.spooling.folder import QUARANTINE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

pytestmark = pytest.mark.once

PICTURES = {block.page: block.text for block in blocks_for(__file__)}


def test_each_picture_has_a_test_here() -> None:
    assert sorted(block.page for block in blocks_for(__file__)) == [
        "docs/errors.md",
        "docs/index.md",
        "docs/internals/accounting.md",
        "docs/internals/index.md",
        "docs/spool.md",
    ]


def drawn(kind: type, before: str = "", indent: str = "") -> Iterator[str]:
    """Yield the lines that draw a class of errors and those that inherit from it."""
    also = [base.__name__ for base in kind.__bases__ if not issubclass(base, SegmentError)]
    if kind is SegmentError or not also:
        yield f"{before}{kind.__name__}"
    else:
        which = " and ".join(f"{'an' if name[0] in 'AEIOU' else 'a'} {name}" for name in also)
        yield f"{before + kind.__name__:27}also {which}"
    children: list[type] = kind.__subclasses__()
    for child in children[:-1]:
        yield from drawn(child, f"{indent}├── ", f"{indent}│   ")
    for child in children[-1:]:
        yield from drawn(child, f"{indent}└── ", f"{indent}    ")


def test_the_tree_of_errors_has_each_class() -> None:
    assert PICTURES["docs/errors.md"].splitlines() == [*drawn(SegmentError)]


def test_the_folder_of_a_spool_has_these_names(tmp_path: Path, server: LocalSegment) -> None:
    client = Client("key", server.host, spool=SpoolConfig(tmp_path, deliver=False))
    client.track("user", "event")
    there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    client.shutdown()
    _, account, run, lock, segment, quarantine = (
        line.split()[0].rstrip("/") for line in PICTURES["docs/spool.md"].splitlines()
    )
    assert quarantine == QUARANTINE
    shapes = [account, f"{account}/{run}", f"{account}/{run}/{lock}", f"{account}/{run}/{segment}"]
    pattern = "|".join(shape_of(shape) for shape in shapes)
    assert len(there) == len(shapes)
    assert all(re.fullmatch(pattern, name) for name in there), there


def shape_of(path: str) -> str:
    """Return a pattern for paths of this shape: any digits and letters where it has an example."""
    path = re.sub(r"3f2a…", "<hash>", re.escape(path))
    path = re.sub(r"20261120T211700Z\\-4711\\-9c41d2aa", r"\\d{8}T\\d{6}Z-\\d+-[0-9a-f]{8}", path)
    return path.replace("<hash>", "[0-9a-f]+")


def test_the_picture_of_the_folders_has_each_of_them_and_names_their_modules() -> None:
    text, _, _ = PICTURES["docs/internals/index.md"].partition("  errors, log ")
    _, *parts = re.split(r"^  (\w+)/ ", text, flags=re.MULTILINE)
    found = dict(zip(parts[::2], parts[1::2], strict=True))
    package = ROOT / "segment_librato"
    assert found.keys() == {file.parent.name for file in package.glob("*/__init__.py")}
    for name in ("queue", "delivery", "transport", "http", "foreign"):
        modules = {file.stem for file in (package / name).glob("*.py")}
        text, _, _ = found[name].replace("│", "").partition("\n\n")
        words = {word.strip() for word in re.split("[,:\n]", re.sub(r"\([^)]*\)", "", text))}
        assert {word for word in words if re.fullmatch("[a-z_]+", word)} <= modules, name


def test_the_picture_of_a_message_names_what_moves_it() -> None:
    picture = PICTURES["docs/internals/accounting.md"]
    for name in ("put", "take", "mark_delivered", "abandon", "claim", "mark_failed"):
        assert re.search(rf"\b{name}\b", picture), name
        assert hasattr(MessageQueue, name) or hasattr(Ledger, name), name


def test_the_picture_of_the_way_names_its_stations(server: LocalSegment) -> None:
    line = PICTURES["docs/index.md"].splitlines()[1]
    assert re.findall(r"\w+", line) == [
        *("Client", "track", "message", "bytes", "queue", "batch", "consumer", "transport"),
        *("POST", "v1", "batch"),
    ]
    for name in ("message", "queue", "queue.batch", "delivery.consumer", "transport"):
        assert find_spec(f"segment_librato.{name}"), name
    with Client("key", server.host) as client:
        client.track("user", "event")
    assert [request.path for request in server.requests] == ["/v1/batch"]
