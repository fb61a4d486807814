"""The blocks that no test can run, why, and as much of them as can be tried."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib.metadata import metadata
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import pytest
from packaging.requirements import Requirement
from support.pages import ROOT, Block, blocks_for

from segment_librato.cli.importing.command import import_
from segment_librato.config import client

if TYPE_CHECKING:
    from segment_librato.devserver import LocalSegment

pytestmark = pytest.mark.once

# How many, what they begin with, and why. A block that can be run does not belong here.
NOT_RUN = [
    (6, "pip install ", "installs from the package index"),
    (1, "python3 -m venv ", "the same"),
    (1, "git clone ", "needs the network"),
    (1, "make demo", "runs this very test, too"),
    (3, "make bench", "measures for two minutes and more"),
    (2, "def deliver(", "needs Ray or Beam, each larger than all other packages together"),
    (1, "from airflow", "needs Airflow, the same"),
]
PROJECT = metadata("segment-librato")


def found(begins: str) -> list[Block]:
    return [block for block in blocks_for(__file__) if block.text.startswith(begins)]


def test_there_are_as_few_as_the_list_says() -> None:
    assert [(len(found(begins)), begins) for _, begins, _ in NOT_RUN] == [
        (count, begins) for count, begins, _ in NOT_RUN
    ]
    assert sum(count for count, _, _ in NOT_RUN) == len(blocks_for(__file__))


@pytest.mark.parametrize(
    "block", [*found("pip install "), *found("python3 -m venv ")], ids=lambda one: one.place
)
def test_what_is_installed_exists(block: Block) -> None:
    (names,) = re.findall(r"^pip install (.*)$", block.text, re.MULTILINE)
    requirement = Requirement(shlex.split(names)[0])
    assert requirement.name == PROJECT["Name"]
    assert requirement.extras <= {*(PROJECT.get_all("Provides-Extra") or ())}


def test_what_is_cloned_is_the_project() -> None:
    (block,) = found("git clone ")
    url, folder = re.findall(r"^git clone (\S+) && cd (\S+)$", block.text, re.MULTILINE)[0]
    assert f"Source, {url}" in (PROJECT.get_all("Project-URL") or ())
    assert url.endswith(f"/{folder}")


@pytest.mark.parametrize(
    "block", [*found("git clone "), *found("make ")], ids=lambda one: one.place
)
def test_what_is_made_is_a_target(block: Block, unmeasured: None) -> None:
    commands = re.findall(r"^make ([^#\n]+)", block.text, re.MULTILINE)
    assert commands
    for command in commands:
        dry = ["make", "--dry-run", f"PYTHON={sys.executable}", *command.split()]
        subprocess.run(dry, check=True, capture_output=True, cwd=ROOT, timeout=60)  # noqa: S603


@pytest.mark.parametrize("block", found("make bench"), ids=lambda one: one.place)
def test_what_is_measured_exists(block: Block) -> None:
    plan = pytest.importorskip("benchmarks.plan", reason="only a checkout has the benchmark")
    from benchmarks.subjects import SUBJECTS

    for names in re.findall(r"MEASURES=(\S+)", block.text):
        assert {*names.split(",")} <= {one.name for one in plan.MEASUREMENTS}
    for names in re.findall(r"SUBJECTS=(\S+)", block.text):
        assert {*names.split(",")} <= SUBJECTS.keys()


class Rows(list[dict[str, Any]]):
    """As much of a DataFrame as the page uses."""

    def to_dict(self, orient: str) -> Rows:
        assert orient == "records"
        return self

    def __getitem__(self, columns: Any) -> Any:
        return [{name: row[name] for name in columns} for row in self]


@pytest.mark.parametrize("block", found("def deliver("), ids=lambda one: one.place)
def test_the_function_for_a_part_delivers_it(
    block: Block, server: LocalSegment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "DEFAULT_HOST", server.host)
    program = "from segment_librato import import_rows\n" + block.text
    engines = {name: MagicMock() for name in ("ray", "beam", "pipeline")}
    names: dict[str, Any] = {"WRITE_KEY": "key", **engines}
    exec(program, names)  # noqa: S102  our own page
    rows = [{"customer": 7, "order_id": n, "timestamp": "2024-03-05T12:13:14Z"} for n in range(3)]
    names["deliver"](Rows(rows))
    assert [one["properties"]["order_id"] for one in server.messages] == [0, 1, 2]


def test_the_command_of_the_airflow_task_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = found("from airflow")
    tasks: list[dict[str, Any]] = []
    module: Any = ModuleType("bash")
    module.BashOperator = lambda **arguments: tasks.append(arguments)
    monkeypatch.setitem(sys.modules, "airflow.providers.standard.operators.bash", module)
    for name in ("airflow", "airflow.providers", "airflow.providers.standard"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(
        sys.modules, "airflow.providers.standard.operators", SimpleNamespace(bash=module)
    )
    exec(block.text, {})  # noqa: S102  our own page
    (task,) = tasks
    command = task["bash_command"].replace("{{ ds }}", "2026-03-01").split()
    assert command[:2] == ["segment-librato", "import"]
    options = import_.make_context("import", command[2:]).params
    assert options["name"] == "orders"
    assert options["rate"] == 500
