"""The options of the spool: what each may be, and what an error says."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any

import pytest

from segment_librato import Client, ConfigError, SpoolConfig

WRONG: list[tuple[str, Any, str]] = [
    ("path", None, "expected the path of a folder, got NoneType"),
    ("path", "", "expected the path of a folder, got an empty str"),
    ("path", b"/spool", "expected the path of a folder, got bytes"),
    ("path", "a\0b", "expected the path of a folder, got one with a null character"),
    ("max_bytes", 1024 * 1024 - 1, "expected at least 1048576, got 1048575"),
    ("max_bytes", 2e6, "expected an int, got float"),
    ("max_bytes", True, "expected an int, got bool"),
    ("max_bytes", None, "expected an int, got NoneType"),
    ("max_age", 0, "expected more than 0 seconds, got 0"),
    ("max_age", 0.0, "expected more than 0 seconds, got 0"),
    ("max_age", -1, "expected at least 0 seconds, got -1"),
    ("max_age", math.nan, "expected at least 0 seconds, got nan"),
    ("max_age", None, "expected a number of seconds, got NoneType"),
    ("max_age", "7 days", "expected a number of seconds, got str"),
    ("fsync", -0.5, "expected at least 0 seconds, got -0.5"),
    ("fsync", "0.5", "expected a number of seconds, got str"),
    ("fsync", False, "expected a number of seconds, got bool"),
    ("when_full", "drop", "expected 'reject' or 'drop_oldest', got another str"),
    ("when_full", "", "expected 'reject' or 'drop_oldest', got another str"),
    ("when_full", None, "expected 'reject' or 'drop_oldest', got NoneType"),
    ("when_full", ["reject"], "expected 'reject' or 'drop_oldest', got list"),
]


@pytest.mark.parametrize("name, value, text", WRONG)
def test_a_wrong_value_is_named_with_what_was_expected_and_what_came(
    name: str, value: Any, text: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        SpoolConfig(**{"path": "spool", name: value})
    assert str(raised.value) == f"{name}: {text}"


@pytest.mark.parametrize("max_age", [0.001, 1, threading.TIMEOUT_MAX])
@pytest.mark.parametrize("fsync", [0, 0.5, None])
@pytest.mark.parametrize("when_full", ["reject", "drop_oldest"])
def test_values_at_their_bounds_are_kept(max_age: float, fsync: Any, when_full: Any) -> None:
    config = SpoolConfig(
        "spool", max_bytes=1024 * 1024, max_age=max_age, fsync=fsync, when_full=when_full
    )
    assert (config.max_bytes, config.max_age) == (1024 * 1024, max_age)
    assert (config.fsync, config.when_full) == (fsync, when_full)


@pytest.mark.parametrize("deliver, kept", [(True, True), (False, False), (0, False), ("1", True)])
def test_whether_it_delivers_is_a_flag(deliver: Any, kept: bool) -> None:
    assert SpoolConfig("spool", deliver=deliver).deliver is kept


@pytest.mark.parametrize("path", ["spool", Path("spool")])
def test_the_path_is_absolute_from_then_on(path: Any) -> None:
    assert SpoolConfig(path).path == str(Path.cwd() / "spool")


@pytest.mark.parametrize("of_kind", [str, Path, SpoolConfig])
def test_there_is_no_spool_in_sync_mode(tmp_path: Path, of_kind: Any) -> None:
    spool = of_kind(tmp_path / "spool")
    with pytest.raises(ConfigError) as raised:
        Client("test-key", sync_mode=True, spool=spool)
    assert str(raised.value) == "spool: expected None with sync_mode, in which nothing waits"
    assert not (tmp_path / "spool").exists()
