"""A `kill -9` at each system call: nothing is lost, and next to nothing arrives twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.crash_points import IMPOSSIBLE, SCENARIOS

pytestmark = pytest.mark.once


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_kill_at_any_system_call_loses_nothing(
    tmp_path: Path, unmeasured: None, scenario: str
) -> None:
    process = subprocess.run(  # noqa: S603  the tests' own script
        [sys.executable, "-W", "error", "-m", "support.crash_points", scenario, tmp_path / "spool"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    if process.returncode == IMPOSSIBLE:
        pytest.skip("a process may not trace its children here")
    assert process.stderr == ""
    assert int(process.stdout) > 50  # laps
