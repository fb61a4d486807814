"""Which files the arguments of a command mean.

Must not know what is in a file.
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from typing import TYPE_CHECKING

from segment_librato.bulk.files.items import FileError
from segment_librato.bulk.files.naming import STATE_SUFFIX, has_query, is_remote, without_secrets
from segment_librato.bulk.files.opening import find_remote
from segment_librato.bulk.state_file import OF_SQLITE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["find_paths"]


def find_paths(arguments: Iterable[str], written: Sequence[str] = ()) -> list[str]:
    """Return the files that arguments mean: a pattern means all that match it, in order.

    Files with the state of an import are none.

    Args:
        arguments: names, patterns and URLs.
        written: files that the import itself writes: no pattern means them.

    Raises:
        FileError: no file matches, or one is meant twice; the text names it.
    """
    paths = [path for argument in arguments for path in _expand(argument, written)]
    if not paths:
        raise FileError("no file to import, only states of imports")
    counts = Counter(without_secrets(path) if is_remote(path) else path for path in paths)
    if twice := next((path for path, count in counts.items() if count > 1), None):
        are_equal = len({*paths}) < len(paths)
        more = "" if are_equal else "; import URLs that differ in their queries one by one"
        raise FileError(f"{twice}: it is named twice{more}")
    _check_links(paths)
    return paths


def _check_links(paths: list[str]) -> None:
    """Raise FileError if two paths lead to one file: each of its rows would count as two."""
    known: dict[tuple[int, int], str] = {}
    for path in paths:
        if os.path.isfile(path):  # noqa: PTH113  text
            there = os.stat(path)  # noqa: PTH116  the same
            other = known.setdefault((there.st_dev, there.st_ino), path)
            if other != path:
                raise FileError(f"{other} and {path} are the same file; name one of them")


def _expand(argument: str, written: Sequence[str]) -> Iterator[str]:
    is_pattern = glob.has_magic(argument) and not has_query(argument)
    is_pattern = is_pattern and not os.path.exists(argument)  # noqa: PTH110  text
    if not is_pattern:
        found = [argument]
    elif is_remote(argument):
        found = find_remote(argument)
    else:
        found = sorted(one for one in glob.glob(argument, recursive=True) if os.path.isfile(one))  # noqa: PTH113, PTH207  text
    if is_pattern:
        found = [one for one in found if not _is_any(one, written)]
    found = [one for one in found if not one.endswith(tuple(STATE_SUFFIX + s for s in OF_SQLITE))]
    if is_pattern and not found:
        raise FileError(f"{argument}: no file matches")
    for path in found:
        _check(path)
    yield from found


def _is_any(path: str, others: Sequence[str]) -> bool:
    paths = (os.path.realpath(other) for other in others)
    return not is_remote(path) and os.path.realpath(path) in paths


def _check(path: str) -> None:
    if is_remote(path):
        return
    if os.path.isdir(path):  # noqa: PTH112  text
        raise FileError(f"{path}: it is a folder; name its files, as in {path}/*.jsonl")
    try:
        os.path.abspath(path).encode()  # noqa: PTH100  text
    except UnicodeEncodeError:  # a state keeps paths as text
        advice = "rename it, or pass it as standard input: -"
        raise FileError(f"{path}: its path is not UTF-8; {advice}") from None
