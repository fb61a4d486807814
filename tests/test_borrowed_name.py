"""`import segment.analytics`: the name that the library borrows for applications that have it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from support.marks import needs_fork

import segment_librato as analytics
from segment_librato import ConfigError

if TYPE_CHECKING:
    from segment_librato.devserver import LocalSegment


def test_the_name_is_borrowed_only_while_nobody_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("consumer", "request", "utils", "version"):
        monkeypatch.setattr(analytics, name, None, raising=False)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    with patch.dict(sys.modules):
        analytics.install_as_segment_analytics()
        assert sys.modules["segment.analytics"] is analytics
        sys.modules["segment.analytics"] = ModuleType("segment.analytics")
        with pytest.raises(ConfigError, match="imported before"):
            analytics.install_as_segment_analytics()


# The same in interpreters of their own.

INSTALL = "import segment_librato; segment_librato.install_as_segment_analytics()\n"


def run(code: str, *paths: Path) -> str:
    """Run code in a new interpreter and return what it prints."""
    root = Path(__file__).parent.parent
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (*paths, root))),
        "PYTHONWARNINGS": "error",
    }
    done = subprocess.run(  # noqa: S603  our own code
        [sys.executable, "-c", code],
        env=environment,
        cwd=paths[0] if paths else None,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def make_package(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "statement, shown, expected",
    [
        ("import segment.analytics as analytics", "analytics", "segment_librato"),
        ("from segment import analytics", "analytics", "segment_librato"),
        ("import segment.analytics", "segment.analytics", "segment_librato"),
        ("from segment.analytics.client import Client", "Client", "segment_librato.Client"),
        ("from segment.analytics import Client", "Client", "segment_librato.Client"),
        ("from segment.analytics import track", "track", "segment_librato.track"),
        ("from segment.analytics.request import APIError", "APIError", "segment_librato.APIError"),
        ("import segment.analytics.request as r", "r.APIError", "segment_librato.APIError"),
        ("from segment.analytics import request", "request.APIError", "segment_librato.APIError"),
        ("import segment.analytics.client as c", "c.Client", "segment_librato.Client"),
        ("from segment.analytics import client", "client.Client", "segment_librato.Client"),
        ("from segment.analytics.version import VERSION", "VERSION", "segment_librato.__version__"),
        ("from segment.analytics import version as v", "v.VERSION", "segment_librato.__version__"),
        ("from segment.analytics.utils import clean", "clean([{1}])", "[[1]]"),
        (
            "from segment.analytics.consumer import MAX_MSG_SIZE",
            "type(MAX_MSG_SIZE), MAX_MSG_SIZE == 32 * 1024",
            "int, True",
        ),
        (
            "import datetime; from segment.analytics.request import DatetimeSerializer as D",
            "D().encode(datetime.date(2024, 2, 29))[1:-1]",
            "'2024-02-29'",
        ),
        (
            "import importlib; m = importlib.import_module('segment.analytics.client')",
            "m.Client",
            "segment_librato.Client",
        ),
    ],
)
def test_the_borrowed_name_leads_here(statement: str, shown: str, expected: str) -> None:
    assert run(f"{INSTALL}{statement}\nprint(({shown}) == ({expected}))") == "True"


def test_settings_and_calls_work_under_the_borrowed_name(server: LocalSegment) -> None:
    code = f"""
{INSTALL}
import segment.analytics as analytics
analytics.write_key = "borrowed-key"
analytics.host = {server.host!r}
assert analytics.track("user-1", "Signed Up")[0]
assert analytics.default_client.write_key == "borrowed-key"
analytics.shutdown()
"""
    run(code)
    (request,) = server.requests
    assert request.write_key == "borrowed-key"
    assert [message["event"] for message in server.messages] == ["Signed Up"]


def test_installing_twice_does_no_harm() -> None:
    code = f"{INSTALL * 2}import segment.analytics as a; print(a is segment_librato)"
    assert run(code) == "True"


NO_SECOND_COPY = """
modules = {id(one): one for one in sys.modules.values()}.values()
files = [str(vars(one).get("__file__")) for one in modules]
ours = [one for one in files if "segment_librato" in one]
assert len(set(ours)) == len(ours) > 20
assert segment_librato.__spec__.name == segment_librato.__name__ == "segment_librato"
print("one copy")
"""


@pytest.mark.parametrize("name", ["segment.analytics", "analytics"])
def test_a_borrowed_name_survives_that_modules_are_forgotten(name: str) -> None:
    """As test suites do that want a fresh one."""
    code = f"""
import importlib, sys, segment_librato
segment_librato.install_as_segment_analytics({name!r})
from {name}.client import Client
for forgotten in ({name!r}, "{name}.client", "{name}.request", {name.partition(".")[0]!r}):
    sys.modules.pop(forgotten, None)
import {name} as analytics
import {name}.request, {name}.devserver
from {name}.client import Client as again
from {name}.encoding.encoder import message_encoder
assert {name} is analytics is segment_librato
assert again is Client is segment_librato.Client
importlib.import_module("{name}.librato.mapper")
try:
    import {name}.no_such_module
except ModuleNotFoundError:
    segment_librato.install_as_segment_analytics({name!r})
    {NO_SECOND_COPY.replace(chr(10), chr(10) + "    ")}
"""
    assert run(code) == "one copy"


@pytest.mark.parametrize("submodule", ["", ".analytics", ".analytics.client", ".analytics.request"])
def test_a_borrowed_name_has_a_spec(submodule: str) -> None:
    name = f"segment{submodule}"
    code = f"""
{INSTALL}
import importlib.util, sys
assert importlib.util.find_spec({name!r})
sys.modules.pop({name!r}, None)
spec = importlib.util.find_spec({name!r})
print(spec.name)
"""
    assert run(code) == name


def test_code_for_analytics_python_is_served(server: LocalSegment) -> None:
    code = f"""
import segment_librato
segment_librato.install_as_segment_analytics("analytics")
import analytics
from analytics.client import Client
analytics.write_key = "old-key"
analytics.host = {server.host!r}
analytics.track("user-1", "Signed Up")
analytics.flush()
print(analytics is segment_librato, Client is segment_librato.Client)
"""
    assert run(code) == "True True"
    assert [request.write_key for request in server.requests] == ["old-key"]


OWN = {"analytics/__init__.py": "kept = True"}
DISTRIBUTION = {
    "analytics_python-1.4.post1.dist-info/METADATA": "Name: analytics-python\nVersion: 1.4.post1\n",
}


@pytest.mark.parametrize("when", ["", "import analytics\n"], ids=["not imported", "imported"])
@pytest.mark.parametrize(
    "files",
    [OWN, {"analytics/reports.py": ""}, {"analytics.py": ""}],
    ids=["package", "namespace package", "module"],
)
def test_another_package_named_analytics_is_left_alone(
    tmp_path: Path, when: str, files: dict[str, str]
) -> None:
    code = f"""
{when}
import segment_librato
try:
    segment_librato.install_as_segment_analytics("analytics")
except segment_librato.ConfigError as error:
    print(error)
import analytics
assert analytics is not segment_librato
"""
    assert run(code, make_package(tmp_path, files)) == (
        "analytics was imported before; call install_as_segment_analytics() first"
        if when
        else "there is another package named analytics"
    )


def test_analytics_python_may_be_installed(tmp_path: Path) -> None:
    code = """
import segment_librato
segment_librato.install_as_segment_analytics("analytics")
import analytics
print(analytics is segment_librato)
"""
    assert run(code, make_package(tmp_path, {**OWN, **DISTRIBUTION})) == "True"


def test_no_other_name_is_borrowed() -> None:
    with pytest.raises(ConfigError, match=r"^name: expected 'segment\.analytics' or 'an"):
        analytics.install_as_segment_analytics("statistics")


@needs_fork
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_child_that_imports_the_main_module_anew_finds_the_name(
    method: str, tmp_path: Path, server: LocalSegment
) -> None:
    program = f"""
import multiprocessing, sys
import segment_librato
segment_librato.install_as_segment_analytics()
import segment.analytics as analytics
from segment.analytics.client import Client
analytics.write_key = "key"
analytics.host = {server.host!r}

def work(track, number):
    assert Client is segment_librato.Client
    track("user", "event", {{"n": number}})

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    child = context.Process(target=work, args=(analytics.track, 5))
    child.start()
    child.join()
    sys.exit(child.exitcode)
"""
    make_package(tmp_path, {"program.py": program})
    done = subprocess.run(  # noqa: S603  our own code
        [sys.executable, str(tmp_path / "program.py")],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [message["properties"] for message in server.messages] == [{"n": 5}]


REAL = {
    "segment/analytics/__init__.py": "from segment.analytics.client import Client",
    "segment/analytics/client.py": "class Client: pass",
}


@pytest.mark.parametrize("imported", ["segment.analytics", "segment.analytics.client"])
def test_it_is_rejected_once_the_real_one_was_imported(tmp_path: Path, imported: str) -> None:
    code = f"""
import {imported}
import segment_librato
real = segment.analytics
try:
    segment_librato.install_as_segment_analytics()
except segment_librato.ConfigError as error:
    print(error)
import segment.analytics
assert segment.analytics is real
"""
    shown = run(code, make_package(tmp_path, REAL))
    assert shown == (
        "segment.analytics was imported before; call install_as_segment_analytics() first"
    )


def test_the_real_one_may_be_installed_as_long_as_nobody_imported_it(tmp_path: Path) -> None:
    code = f"""
{INSTALL}
import segment.analytics as analytics
from segment.analytics.client import Client
print(analytics is segment_librato, Client is segment_librato.Client)
"""
    assert run(code, make_package(tmp_path, REAL)) == "True True"


@pytest.mark.parametrize("when", ["", "import segment\n"], ids=["not imported", "imported"])
@pytest.mark.parametrize(
    "files",
    [
        {"segment/__init__.py": "kept = True", "segment/other.py": "value = 1"},
        {"segment/other.py": "value = 1"},
    ],
    ids=["package", "namespace package"],
)
def test_another_package_named_segment_stays_usable(
    tmp_path: Path, when: str, files: dict[str, str]
) -> None:
    code = f"""
{when}{INSTALL}
import segment.other
import segment.analytics as analytics
assert getattr(segment, "kept", True)
print(segment.other.value, analytics is segment_librato)
"""
    assert run(code, make_package(tmp_path, files)) == "1 True"


def test_without_installing_the_name_leads_nowhere() -> None:
    code = """
import segment_librato
try:
    import segment.analytics
except ImportError:
    print("nowhere")
"""
    assert run(code) == "nowhere"
