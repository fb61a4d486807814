"""check, run as a command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.command import complaint, records, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.once

SIGNED_UP = {"type": "track", "userId": "ada", "event": "Signed Up", "properties": {"plan": "pro"}}
PROPERTIES = {"type": "object", "properties": {"plan": {"type": "string"}}, "required": ["plan"]}
SCHEMA = {"properties": {"properties": PROPERTIES}}
PLAN = {"rules": [{"type": "TRACK", "key": "Signed Up", "version": 1, "jsonSchema": SCHEMA}]}


def lines(*values: Any) -> str:
    return "".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in values)


@pytest.fixture
def plan(tmp_path: Path) -> str:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(PLAN), encoding="utf-8")
    return str(file)


def test_messages_without_problems_are_counted() -> None:
    result = run("check", "-", stdin=lines(SIGNED_UP, "", SIGNED_UP))
    assert result.stdout == "lines: 2, problems: 0\n"


def test_each_problem_is_told_with_its_line() -> None:
    odd = {**SIGNED_UP, "event": "Signed up", "properties": {"value": "5"}}
    result = run("check", "-", stdin=lines(SIGNED_UP, odd, "nope"), status=1)
    assert result.stdout == (
        '     2  event "Signed up" looks like "Signed Up"\n'
        "     2  properties.value is a string, not a number\n"
        "     3  not strict JSON: Expecting value: column 1 (char 0)\n"
        "lines: 3, problems: 3\n"
    )
    assert result.stderr == ""


def test_problems_are_json_lines_for_scripts(plan: str) -> None:
    messages = lines({**SIGNED_UP, "properties": {}}, {**SIGNED_UP, "event": "Signed Out"})
    found = records(run("check", "--json", "--plan", plan, "-", stdin=messages, status=1))
    assert found == [
        {
            "line": 1,
            "code": "missing",
            "path": "properties.plan",
            "text": "properties.plan is missing",
            "suggestion": None,
        },
        {
            "line": 2,
            "code": "not_planned",
            "path": "event",
            "text": 'event "Signed Out" is not in the tracking plan',
            "suggestion": None,
        },
        {"lines": 2, "problems": 2},
    ]


def test_a_plan_that_is_kept_has_no_problems(plan: str) -> None:
    assert run("check", "-q", "--plan", plan, "-", stdin=lines(SIGNED_UP)).stdout == ""


def test_what_cannot_be_checked_is_wrong_input(tmp_path: Path, plan: str) -> None:
    assert complaint(run("check", "-", status=2)) == "<stdin> has no line of JSON"
    missing = str(tmp_path / "missing.json")
    messages = lines(SIGNED_UP)
    for path, text in (
        (missing, f"cannot read the tracking plan: {missing}: No such file or directory"),
        (str(tmp_path), f"cannot read the tracking plan: {tmp_path}: Is a directory"),
    ):
        assert complaint(run("check", "-", "--plan", path, stdin=messages, status=2)) == text
    assert "No such file" in complaint(run("check", missing, "--plan", plan, status=2))


def test_a_reader_that_leaves_ends_it_early() -> None:
    odd = {**SIGNED_UP, "event": "Signed up"}
    found = records(run("check", "--json", "-", stdin=lines(odd), status=1))
    assert found[-1] == {"lines": 1, "problems": 1}
