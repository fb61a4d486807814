"""The design, as far as the imports tell: one way, and each package in its place."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import segment_librato

ROOT = Path(segment_librato.__file__).parent

# From the front of the pipeline to its back: a module imports only what stands after it.
PIPELINE = [
    "segment_librato",
    "client",
    "router",
    "gauge_delivery.pipeline",
    "gauge_delivery.calls",
    "delivery.pipeline",
    "transport.lazy",
    "delivery.consumer",
    "sending",
    "preload",
    "delivery.retry",
    "transport.segment",
    "transport.oauth",
    "gauge_delivery.librato",
    "gauge_delivery.otlp",
    "gauge_delivery.exporter",
    "http.session",
    "http.deadlines",
    "http.pool",
    "http.response",
    "gauge_delivery.queue",
    "queue.message_queue",
    "process.clock",
    "queue.ledger",
    "delivery.report",
    "queue.batch",
    "encoding.encoder",
    "encoding.flat",
    "encoding.plain",
    "message.build",
    "message.ids",
    "encoding.strict",
    "encoding.coerce",
    "encoding.replacements",
    "process.exit",
    "process.locks",
    "log",
    "counters",
    "config.client",
    "gauge_delivery.aggregate",
    "librato.mapper",
    "librato.values",
    "config.gauges",
    "config.validators",
    "errors",
    "_version",
]
THIRD_PARTIES = {
    "requests": {"http.deadlines", "http.session", "gauge_delivery.exporter"},
    "urllib3": {"http.deadlines"},
    "jwt": {"transport.oauth"},
    "orjson": {"encoding.encoder"},
    "google": {"gauge_delivery.otlp"},
    "opentelemetry": {"gauge_delivery.exporter", "gauge_delivery.otlp"},
    "backoff": {"delivery.retry"},
    "dateutil": {"message.build", "librato.values"},
    "typing_extensions": {"client", "http.session", "devserver.server"},
}
ONLY_IN_LIFECYCLE = {"atexit", "multiprocessing", "signal"}


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


def test_every_module_of_the_core_has_its_place() -> None:
    folders = {name.rpartition(".")[0] for name in MODULES}
    core = {name for name in MODULES if name.split(".")[0] != "devserver"} - folders
    assert core == set(PIPELINE)


@pytest.mark.parametrize("name", PIPELINE)
def test_imports_go_one_way(name: str) -> None:
    after = set(PIPELINE[PIPELINE.index(name) + 1 :])
    assert ours(imports(name, with_types=True)) <= after


def test_the_mapper_stands_alone() -> None:
    assert ours(imports("librato.mapper", with_types=True)) == {"librato.values"}
    assert ours(imports("librato.values", with_types=True)) == set()


@pytest.mark.parametrize("name", MODULES)
def test_each_package_is_used_where_it_belongs(name: str) -> None:
    standard = set(sys.stdlib_module_names) | {"segment_librato"}
    for package in {one.split(".")[0] for one in imports(name, with_types=True)} - standard:
        assert name in THIRD_PARTIES[package]


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith("devserver")])
def test_only_lifecycle_touches_the_process(name: str) -> None:
    if name != "process.exit":
        assert not ONLY_IN_LIFECYCLE & imports(name, with_types=False)
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
