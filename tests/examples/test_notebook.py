"""A notebook whose stored outputs are those that it makes."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from support.examples import EXAMPLES, check_messages, command, run

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

FLUSH = "analytics.flush(timeout=10)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(EXAMPLES / "notebook", tmp_path / "notebook")


def cells(notebook: Path) -> list[dict[str, Any]]:
    """Return what a cell has to have in common with its run: its source and its outputs."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    names = ("cell_type", "source", "outputs", "execution_count")
    return [{name: cell.get(name) for name in names} for cell in content["cells"]]


def test_a_run_makes_the_outputs_that_are_stored(folder: Path, server: LocalSegment) -> None:
    run(server.host, folder, *command("notebook", "jupyter execute"))
    assert cells(folder / "executed.ipynb") == cells(EXAMPLES / "notebook" / "orders.ipynb")
    events = [(one["event"], one["userId"], one["timestamp"]) for one in server.messages]
    assert events[:2] == [
        ("Order Completed", "ada", "2026-11-16T09:30:00.000+00:00"),
        ("Order Completed", "grace", "2026-11-17T00:00:00.000+00:00"),
    ]
    assert [event[:2] for event in events[2:]] == [("Order Refunded", "ada")]
    assert [one["properties"].get("revenue") for one in server.messages] == [42.5, 17.0, None]
    check_messages(server)


def test_the_rows_of_a_second_run_are_those_of_the_first(
    folder: Path, server: LocalSegment
) -> None:
    for _ in range(2):
        run(server.host, folder, *command("notebook", "jupyter execute"))
    assert server.duplicates == 2
    events = [message["event"] for message in server.messages]
    assert events == ["Order Completed", "Order Completed", "Order Refunded", "Order Refunded"]


def test_the_end_of_the_kernel_delivers_what_waits(folder: Path, server: LocalSegment) -> None:
    notebook = folder / "orders.ipynb"
    content = json.loads(notebook.read_text(encoding="utf-8"))
    (setup, *_) = (cell for cell in content["cells"] if cell["cell_type"] == "code")
    setup["source"].append("\nanalytics.upload_interval = 60")
    content["cells"] = [cell for cell in content["cells"] if cell["source"] != [FLUSH]]
    notebook.write_text(json.dumps(content), encoding="utf-8")
    run(server.host, folder, *command("notebook", "jupyter execute"))
    assert cells(folder / "executed.ipynb")[-1]["outputs"][0]["data"]["text/plain"] == ["(0, 0)"]
    assert server.wait_for(3)
    assert server.messages[-1]["event"] == "Order Refunded"
