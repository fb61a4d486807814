"""What is written out of the table of events is up to date, and costs nothing at run time."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from regenerate import outdated

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent.parent


def test_nothing_is_out_of_date() -> None:
    script = runpy.run_path(str(ROOT / "tools" / "events.py"))
    files = [str(path.relative_to(ROOT)) for path in outdated(script["generated"]())]
    assert not files, "run `make events`"


def test_a_client_is_used_without_an_import_of_the_events() -> None:
    code = """
import sys, typing
import segment_librato
client = segment_librato.Client("test-key", send=False)
client.track("ada", "Order Completed", {"order_id": "o-1"})
typing.get_type_hints(client.track)
print([name for name in sys.modules if name.startswith("segment_librato.events")])
print(segment_librato.events.check.__name__, "jsonschema" in sys.modules)
"""
    done = subprocess.run(  # noqa: S603  our own code
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout == "[]\ncheck False\n"
