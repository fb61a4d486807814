"""What editors and type checkers make of `track` and its kin."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest

from segment_librato.events import EVENTS, OrderCompleted

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent.parent
SERVER = shutil.which("pyright-langserver", path=str(Path(sys.executable).parent))
needs_pyright = pytest.mark.skipif(
    not find_spec("pyright"), reason="needs pyright: pip install pyright[nodejs]"
)

PREAMBLE = """\
from typing import Any
import segment_librato as analytics
from segment_librato import Client
from segment_librato.events import Context, OrderCompleted, UserTraits

class OurOrder(OrderCompleted, total=False):
    margin: float

class OurClient(Client):
    def track(self, *args: Any, **kwargs: Any) -> Any:
        return super().track(*args, **kwargs)

client = Client("test-key")
some: dict[str, Any] = {}
name: str = "Signed Up"
ours: OurOrder = {"order_id": "o-1", "margin": 0.2}
"""

# The calls that are right are right for every checker; so are those that are wrong.
RIGHT = """\
client.track("ada", "Order Completed", {"order_id": "o-1", "total": 42.5})
client.track("ada", "Order Completed", {"order_id": "o-1", "our_own": [1]})
client.track("ada", "Order Completed", {**OrderCompleted(order_id="o-1"), "our_own": 1})
client.track("ada", "Order Completed", {"total": "42.5"})
client.track("ada", "Order Completed", ours)
client.track("ada", "Order Completed", some, some)
client.track("ada", "Our Event", {"value": 1, "anything": object()})
client.track("ada", name, some)
client.track(anonymous_id="a", event="Signed Up", properties={"email": "ada@example.com"})
client.track("ada", "Application Crashed")
analytics.track("ada", "Order Completed", {"order_id": "o-1", "our_own": 1}, {"ip": "::1", "x": 1})
OurClient("test-key").track("ada", "Order Completed", {"order_id": "o-1"})
Client.track(client, "ada", "Signed Up", {"email": "ada@example.com"})
client.identify("ada", {"firstName": "Ada", "our_own": 1})
client.group("ada", "acme", {"employees": 329, "our_own": 1})
client.page("ada", "Docs", "Home", {"url": "u", "our_own": 1})
client.screen("ada", "Docs", "Home", {"our_own": 1})
traits: UserTraits = {"address": {"city": "Paris"}}
context: Context = {"ip": "::1", "page": {"url": "u"}}
client.identify("ada", traits, context)
"""
WRONG = """\
OrderCompleted(order_id="o-1", totl=42.5)
OrderCompleted(order_id="o-1", total="42.5")
OrderCompleted(total=42.5)
analytics.track("ada", "Order Completed", {**OrderCompleted(order_id=5), "our_own": 1})
client.track("ada", "Order Completed", 42.5)
client.track("ada", 42.5)
client.track("ada", "Order Completed", timestamp=some)
client.identify("ada", traits=5)
broken: UserTraits = {"firstname": "Ada"}
"""


def program(tmp_path: Path) -> tuple[Path, set[int]]:
    """Write a program with all calls; return it and the numbers of the wrong lines."""
    file = tmp_path / "program.py"
    text = f"{PREAMBLE}{RIGHT}{WRONG}"
    file.write_text(text, encoding="utf-8")
    count = len(text.splitlines())
    return file, {*range(count - len(WRONG.splitlines()) + 1, count + 1)}


def test_mypy_takes_names_of_ones_own_and_tells_what_is_wrong(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    file, wrong = program(tmp_path)
    done = subprocess.run(  # noqa: S603  our own program
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(ROOT / ".mypy_cache"), file],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    found = re.findall(r"program\.py:(\d+): error", done.stdout)
    assert {int(number) for number in found} == wrong, done.stdout


@needs_pyright
def test_pyright_takes_names_of_ones_own_and_tells_what_is_wrong(tmp_path: Path) -> None:
    file, wrong = program(tmp_path)
    settings = {"typeCheckingMode": "strict", "extraPaths": [str(ROOT)], "include": [file.name]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    done = subprocess.run(  # noqa: S603  our own program
        [sys.executable, "-m", "pyright", "--outputjson", "--project", str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    report = json.loads(done.stdout)["generalDiagnostics"]
    assert {one["range"]["start"]["line"] + 1 for one in report} == wrong, report


class Editor:
    """A client of pyright's language server, which is the one in VS Code, too."""

    def __init__(self, folder: Path) -> None:
        assert SERVER
        self._folder = folder
        self._process: Any = subprocess.Popen(  # noqa: S603  the server of pyright
            [SERVER, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._last = 0
        settings = {"extraPaths": [str(ROOT)]}
        (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
        folders = [{"uri": folder.as_uri(), "name": "test"}]
        options = {"processId": None, "rootUri": folder.as_uri(), "workspaceFolders": folders}
        self._ask("initialize", {**options, "capabilities": {"workspace": {"configuration": True}}})
        self._send("initialized", {})

    def complete(self, code: str) -> set[str]:
        """Return what is offered for the string at the cursor: `|`."""
        file = self._folder / f"m{self._last}.py"
        before, _, after = f"{PREAMBLE}{code}".partition("|")
        document = {"uri": file.as_uri(), "languageId": "python", "version": 1}
        self._send("textDocument/didOpen", {"textDocument": {**document, "text": before + after}})
        position = {"line": before.count("\n"), "character": len(before.rpartition("\n")[2])}
        place = {"textDocument": {"uri": file.as_uri()}, "position": position}
        found = self._ask("textDocument/completion", place)
        return {one["label"].strip('"') for one in found["items"]}

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _ask(self, method: str, parameters: dict[str, Any]) -> Any:
        self._last += 1
        self._send(method, parameters, id=self._last)
        while True:
            message = self._receive()
            if message.get("id") == self._last and "method" not in message:
                return message["result"]
            if "id" in message:  # it asks for settings, or tells of something
                items = message["params"].get("items", [])
                self._write({"id": message["id"], "result": [{} for _ in items]})

    def _send(self, method: str, parameters: dict[str, Any], **more: Any) -> None:
        self._write({"method": method, "params": parameters, **more})

    def _write(self, message: dict[str, Any]) -> None:
        data = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(data), data))
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        length = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b": ")
            if name.lower() == b"content-length":
                length = int(value)
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return message


@pytest.fixture
def editor(tmp_path: Path) -> Iterator[Editor]:
    editor = Editor(tmp_path)
    yield editor
    editor.close()


@needs_pyright
def test_an_editor_completes_events_and_the_properties_of_each(editor: Editor) -> None:
    order = set(get_type_hints(OrderCompleted))
    assert editor.complete('client.track("ada", "|")') == set(EVENTS)
    assert editor.complete('analytics.track("ada", "|")') == set(EVENTS)
    for call in ("client.track", "analytics.track"):
        assert editor.complete(f'{call}("ada", "Order Completed", {{"|"}})') == order
    begun = 'client.track("ada", "Order Completed", {"order_id": "o-1", "our_own": 1, "|"})'
    assert editor.complete(begun) == order - {"order_id"}
    named = 'client.track(anonymous_id="a", event="Invite Sent", properties={"|"})'
    assert "invitee_email" in editor.complete(named)
    products = 'client.track("ada", "Cart Viewed", {"products": [{"|"}]})'
    assert {"product_id", "sku", "price"} < editor.complete(products)
    assert editor.complete('client.track("ada", "Our Event", {"|"})') == {
        *("currency", "revenue", "value")
    }


@needs_pyright
def test_an_editor_completes_traits_and_contexts(editor: Editor) -> None:
    assert "firstName" in editor.complete('client.identify("ada", {"our_own": 1, "|"})')
    assert "employees" in editor.complete('client.group("ada", "acme", {"|"})')
    assert "referrer" in editor.complete('client.page("ada", "Docs", "Home", {"|"})')
    assert "userAgent" in editor.complete('client.track("ada", "Signed Up", context={"|"})')
