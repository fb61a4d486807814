"""What docs/import.md says of options, and its recipe."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from support.marks import needs_shell
from support.pages import ROOT, blocks_for

if TYPE_CHECKING:
    from pathlib import Path
pytestmark = [pytest.mark.once, needs_shell]

PAGE = ROOT / "docs/import.md"


@pytest.mark.skipif(not shutil.which("jq"), reason="needs jq")
def test_the_recipe_makes_lines_of_rejected_rows(tmp_path: Path) -> None:
    (recipe,) = blocks_for(__file__)
    texts = ['{"userId": "ada", "event"', '{"userId":"bob","properties":{"value":7}}']
    rows = [texts[0], json.loads(texts[1])]
    rejects = "".join(f"{json.dumps({'number': 1, 'row': row})}\n" for row in rows)
    (tmp_path / "rejects.jsonl").write_text(rejects, encoding="utf-8")
    subprocess.run(["/bin/sh", "-c", recipe.text], check=True, cwd=tmp_path)  # noqa: S603  of our page
    assert (tmp_path / "again.jsonl").read_text(encoding="utf-8").splitlines() == texts


def test_each_option_is_on_the_page() -> None:
    from segment_librato.cli.importing.command import import_  # only these tests need the extra

    text = PAGE.read_text(encoding="utf-8")
    shared = {"--write-key", "--host", "--quiet", "--json"}
    for parameter in import_.params:
        for name in {*parameter.opts} - shared:
            assert not name.startswith("--") or f"`{name}" in text or f"{name} " in text, name
