"""Which state belongs to the files of an import, and what may be written where.

Must not know what is in a state.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from segment_librato.bulk.files.naming import STANDARD_INPUT, STATE_SUFFIX, is_remote
from segment_librato.bulk.state_file import OF_SQLITE
from segment_librato.bulk.state_lookup import knows_any

if TYPE_CHECKING:
    from segment_librato.bulk.files.source import Source
    from segment_librato.bulk.state import State

__all__ = ["check_rejects", "check_written", "find_state", "identify"]


def identify(source: Source) -> tuple[str, str]:
    """Return what a state knows a file by: its path, from whichever folder, and its fingerprint."""
    path = source.path
    return path if is_remote(path) else os.path.abspath(path), source.fingerprint  # noqa: PTH100  text


def find_state(sources: list[Source], wanted: str | None, *, restart: bool) -> Path | None:
    """Return the path of the state, which may not be there yet.

    It is beside one of the files, or elsewhere in their folders if it knows one of them: that of an
    import whose first files were moved away since. None for standard input, which nobody can read
    again.

    Args:
        sources: the files.
        wanted: the path that was named, if one was.
        restart: whether all begins anew: a state of other files stays as it is.

    Raises:
        click.UsageError: there are several.
    """
    if any(source.path == STANDARD_INPUT for source in sources):
        if wanted or restart:
            option = "--state" if wanted else "--restart"
            raise click.UsageError(f"{option} is for files: standard input cannot be read again")
        return None
    if wanted:
        return Path(wanted)
    beside = [*dict.fromkeys(_beside(source.path) for source in sources)]
    there = [path for path in beside if path.exists()]
    if not (there or restart):
        there = _find_elsewhere(sources, {path.parent for path in beside})
    if len(there) > 1:
        raise click.UsageError(
            f"these files have several states, {there[0]} and {there[1]}: choose one with --state"
        )
    return [*there, *beside][0]


def _find_elsewhere(sources: list[Source], folders: set[Path]) -> list[Path]:
    """Return the states in some folders that know one of the files."""
    files = [identify(source) for source in sources]
    states = (path for folder in folders for path in folder.glob(f"*{STATE_SUFFIX}"))
    return sorted(path for path in states if knows_any(path, files))


def _beside(path: str) -> Path:
    """Return the path of a file's state; that of a URL is here."""
    name = os.path.basename(path) if is_remote(path) else path  # noqa: PTH119  a URL
    return Path(name + STATE_SUFFIX)


def check_written(sources: list[Source], state: Path | None, rejects: str | None) -> None:
    """Refuse to write over a file that is to be imported, by whatever name, or over the state.

    Raises:
        click.UsageError: it would.
    """
    for option, path in (("--rejects", rejects), ("--state", state)):
        if path and any(_is_source(source, path) for source in sources):
            raise click.UsageError(f"{option} {path} would overwrite a file to import")
    if rejects is None:
        return
    if state and os.path.realpath(rejects) in {os.path.realpath(state) + one for one in OF_SQLITE}:
        raise click.UsageError(f"--rejects {rejects} would overwrite the state; name another file")


def check_rejects(path: str | None, state: State | None, sources: list[Source]) -> None:
    """Refuse a file of rejects that cannot be one, or has lines that this import did not write.

    Args:
        path: what was named, if anything was.
        state: what may know the file from an earlier run; None if nothing does.
        sources: the files that are imported.

    Raises:
        click.UsageError: the file is refused.
    """
    if path is None:
        return
    place = Path(path)
    if path == "-" or (place.exists() and not place.is_file()):
        raise click.UsageError(f"--rejects {path} is not a regular file; name one")
    if not place.parent.is_dir():
        raise click.UsageError(f"--rejects {path}: there is no folder {place.parent}")
    is_known = state is not None and state.has_rejects(os.path.abspath(path))  # noqa: PTH100  text
    is_free = not (place.exists() and place.stat().st_size)
    if not (is_free or (is_known and _has_rejects_of(place, sources))):
        raise click.UsageError(f"--rejects {path} exists; name another file, or delete it")


def _has_rejects_of(path: Path, sources: list[Source]) -> bool:
    """Return whether a file begins with a rejected row of an import of these files.

    Who finds it empty may write to it, although the state of another import knows it as well.
    """
    with path.open("rb") as file:
        line = file.readline()
    try:
        first = os.path.basename(json.loads(line)["file"])  # noqa: PTH119  a URL, too
    except (KeyError, TypeError, ValueError):
        return False
    return first in {os.path.basename(source.path) for source in sources}  # noqa: PTH119  the same


def _is_source(source: Source, path: str | Path) -> bool:
    """Return whether a path leads to a file to import."""
    try:
        return os.path.samefile(0 if source.is_stream else source.path, path)  # noqa: PTH121  a number
    except OSError:  # one of them is not there, or is a URL
        return False
