"""What is around the package: its metadata, the make targets that are named, the workflows."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

import pytest

import segment_librato

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent
REPOSITORY = "https://github.com/segment-librato/segment-librato"
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.md")]
)
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
METADATA = metadata("segment-librato")


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def matrix(name: str) -> list[str]:
    """Return a dimension of the matrix in the workflow of the tests."""
    text = (ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8")
    (values,) = re.findall(rf"^ +{name}: \[(.+)\]$", text, re.MULTILINE)
    return [value.strip('"') for value in values.split(", ")]


@pytest.mark.parametrize("file", [*PAGES, *WORKFLOWS, ROOT / ".ci/run"], ids=name_of)
def test_each_make_target_that_is_named_exists(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    commands = re.findall(r"(?:^|`|run: )make ((?:[A-Z]+=\S+ )*)([a-z-]+)", text, re.MULTILINE)
    assert {target for _, target in commands} <= TARGETS


def test_the_workflows_run_all_that_test_all_does() -> None:
    (parts,) = re.findall(r"^test-all: (.*?) ##", MAKEFILE, re.MULTILINE)
    once = ["test", "environments", "versions"]  # `environments` only saves the others time
    assert sorted([*once, *matrix("target")]) == sorted(parts.split())


@pytest.mark.parametrize("file", WORKFLOWS, ids=name_of)
def test_actions_are_pinned_to_a_commit(file: Path) -> None:
    """Tags can be moved; the comment tells people, and the updates, which release it is."""
    for action in re.findall(r"uses: (.*)", file.read_text(encoding="utf-8")):
        if not action.startswith("./"):
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


def test_the_versions_of_the_metadata_are_those_that_the_workflows_test() -> None:
    classifiers = METADATA.get_all("Classifier") or []
    claimed = [one.rpartition(" ")[2] for one in classifiers if re.search(r":: 3\.\d+$", one)]
    assert {*claimed} <= {*matrix("version"), "3.11"}  # which `make test` runs on
    assert METADATA["Requires-Python"] == f">={claimed[0]}"


def test_the_links_of_the_metadata_lead_somewhere() -> None:
    links = dict(link.split(", ") for link in METADATA.get_all("Project-URL") or [])
    assert list(links) == ["Homepage", "Documentation", "Source", "Issues", "Changelog", "Security"]
    for link in links.values():
        assert link.startswith(REPOSITORY)
        if file := link.partition("/blob/main/")[2]:
            assert (ROOT / file).exists(), link


def test_the_readme_has_each_extra() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    _, _, table = text.partition("| extra | adds |\n")
    rows = re.findall(r"^\| `(\w+)` \|", table.partition("\n\n")[0], re.MULTILINE)
    assert sorted(rows) == sorted(METADATA.get_all("Provides-Extra") or [])


CHANGES = "# Changelog\n\n## [Unreleased]\n{}\n## [1.0.0]{}\n\n### Added\n\n- Something.\n"


@pytest.mark.parametrize(
    "tag, changelog, complaint",
    [
        ("v1.0.0", CHANGES.format("", " - 2026-11-28"), ""),
        ("v1.0.1", CHANGES.format("", " - 2026-11-28"), "The tag is v1.0.1"),
        ("v1.0.0", CHANGES.format("\n### Fixed\n", " - 2026-11-28"), "entries under Unreleased"),
        ("v1.0.0", CHANGES.format("", ""), "no section [1.0.0] with a date"),
        ("v1.0.0", CHANGES.format("", " - 2026-13-28"), "month must be in 1..12"),
    ],
)
def test_a_release_is_stopped_that_is_not_complete(
    tag: str, changelog: str, complaint: str, tmp_path: Path
) -> None:
    for name, text in {
        ".ci/check_release.py": (ROOT / ".ci/check_release.py").read_text(encoding="utf-8"),
        "segment_librato/_version.py": 'VERSION = "1.0.0"\n',
        "CHANGELOG.md": changelog,
    }.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    process = subprocess.run(  # noqa: S603  our own program
        [sys.executable, tmp_path / ".ci/check_release.py", tag],
        check=False,
        capture_output=True,
        text=True,
    )
    assert process.returncode == (1 if complaint else 0)
    assert complaint in process.stderr


def test_the_changelog_has_the_version_or_what_comes() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## \[(.*)\](?: - (\d{4}-\d\d-\d\d))?$", text, re.MULTILINE)
    assert len(sections) == len(re.findall(r"^## ", text, re.MULTILINE))
    assert all(date for name, date in sections if name != "Unreleased")
    assert sections[0][0] in {"Unreleased", segment_librato.__version__}
