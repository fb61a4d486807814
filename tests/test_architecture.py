"""The design, as far as the imports tell: one way, and each package in its place."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

import segment_librato

pytestmark = pytest.mark.once

ROOT = Path(segment_librato.__file__).parent

# From the front of the pipeline to the ground floor: what stands on a floor may import only what
# stands below it, or belongs to the same package. Names of packages stand for all in them.
FLOORS = [
    "__main__",
    "cli",
    "devserver, integrations, testing",
    "segment_librato",
    "compat",
    "global_client",
    "client, scopes, spark",
    "hooks, tracking",
    "router, drain, bulk",
    "sending",
    "preload",
    "gauge_delivery",
    "delivery",
    "transport, encoding, events",
    "http, queue, message",
    "spooling",
    "process, config",
    "recording",
    "counters, errors, log, librato, _version",
    "foreign",
]
THIRD_PARTIES = {
    "asgiref": {"integrations"},  # a part of Django
    "celery": {"integrations"},
    "django": {"integrations"},
    "requests": {"http"},
    "urllib3": {"http"},
    "jwt": {"transport"},
    "orjson": {"encoding"},
    "google": {"gauge_delivery"},
    "opentelemetry": {"gauge_delivery", "hooks"},
    "backoff": {"delivery"},
    "click": {"cli"},
    "fsspec": {"bulk"},
    "jsonschema": {"events"},
    "pyarrow": {"bulk", "spark"},
    "rich": {"cli"},
    "dateutil": {"message", "librato"},
    "pyspark": {"spark"},
    "pytest": {"testing"},
    "referencing": {"events"},  # a part of jsonschema
    "typing_extensions": {
        "bulk",
        "client",
        "config",
        "devserver",
        "foreign",
        "gauge_delivery",
        "http",
        "scopes",
    },
}
ONLY_IN_PROCESS = {"atexit", "multiprocessing", "signal"}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "segment_librato"


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports(name: str, *, with_types: bool) -> set[str]:
    """Return the dotted names of the modules that a module imports."""
    found = set()
    nodes: list[ast.AST] = [ast.parse(MODULES[name].read_text())]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            if not with_types:
                continue
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import"
            module = node.module or ""
            of_package = {f"{module}.{alias.name}" for alias in node.names}
            ours = {one for one in of_package if one.removeprefix("segment_librato.") in MODULES}
            found |= ours or {module}
        nodes.extend(ast.iter_child_nodes(node))
    return found


def ours(names: set[str]) -> set[str]:
    return {
        name.removeprefix("segment_librato.")
        for name in names
        if name.split(".")[0] == "segment_librato"
    }


def package_of(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


def floor_of(name: str) -> int:
    """Return the floor of a module: its own if it has one, else that of its package."""
    floors = {one: at for at, floor in enumerate(FLOORS) for one in floor.split(", ")}
    return floors[name] if name in floors else floors[package_of(name)]


def test_the_floors_are_those_of_the_documentation() -> None:
    page = (Path(__file__).parent.parent / "docs/internals/index.md").read_text()
    lines = re.findall(r"^\d+\. (`.*)", page, re.MULTILINE)
    assert [", ".join(re.findall("`(.*?)`", line)) for line in lines] == FLOORS


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_one_way(name: str) -> None:
    offered = (
        {"devserver", "testing"} if name == "segment_librato" else set()
    )  # imported when it is used
    for imported in ours(imports(name, with_types=True)) - offered:
        if package_of(imported) != package_of(name):
            assert floor_of(imported) > floor_of(name), f"{name} imports {imported}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    left = {name: ours(imports(name, with_types=True)) & set(MODULES) for name in MODULES}
    while free := [name for name, imported in left.items() if not imported & left.keys() - {name}]:
        for name in free:
            del left[name]
    assert not left


def test_the_mapper_stands_alone() -> None:
    for name in MODULES:
        if package_of(name) == "librato":
            imported = ours(imports(name, with_types=True))
            assert {package_of(one) for one in imported} <= {"librato", "errors"}


@pytest.mark.parametrize("name", MODULES)
def test_each_package_is_used_where_it_belongs(name: str) -> None:
    standard = set(sys.stdlib_module_names) | {"segment_librato"}
    for package in {one.split(".")[0] for one in imports(name, with_types=True)} - standard:
        assert package_of(name) in THIRD_PARTIES[package]


@pytest.mark.parametrize("name", MODULES)
def test_only_process_touches_the_process(name: str) -> None:
    if package_of(name) not in {"process", "devserver"}:
        assert not ONLY_IN_PROCESS & imports(name, with_types=False)
        assert "register_at_fork" not in MODULES[name].read_text()


@pytest.mark.parametrize("name", MODULES)
def test_each_module_says_what_it_owns(name: str) -> None:
    docstring = ast.get_docstring(ast.parse(MODULES[name].read_text()))
    assert docstring
    assert len(docstring) > 40


@pytest.mark.parametrize("name", MODULES)
def test_no_function_is_long(name: str) -> None:
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.body:
            assert node.end_lineno is not None
            lines = node.end_lineno - node.body[0].lineno + 1
            assert lines <= 40, f"{name}.{node.name}"
