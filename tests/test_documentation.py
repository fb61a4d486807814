"""Our pages: links, tables and names; and the examples of Segment's and Librato's pages."""

from __future__ import annotations

import ast
import datetime  # noqa: ICN001  as the documentation has it
import re
import textwrap
from typing import TYPE_CHECKING, Any

import dateutil.parser
import pytest
from dateutil.tz import tzutc
from support.pages import PAGES, ROOT, name_of

import segment_librato as analytics
from segment_librato import Client, LibratoConfig, OpenTelemetryConfig
from segment_librato.config import client as config
from segment_librato.config.client import Config
from segment_librato.librato import map_message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from segment_librato.devserver import LocalSegment

pytestmark = pytest.mark.once

FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
REPOSITORY = "https://github.com/segment-librato/segment-librato/blob/main/"
LINK = re.compile(r"\]\(([^)#]*)#?([^)]*)\)")


SITUATIONS = [
    line.strip("| ").split(" | ")
    for line in (ROOT / "docs/delivery.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| situation")
]


@pytest.mark.parametrize("row", SITUATIONS, ids=[row[0] for row in SITUATIONS])
def test_each_situation_of_the_delivery_has_its_test(row: list[str]) -> None:
    _, _, *_, tests = row  # one table has a column more
    names = re.findall(r"`([\w/]+\.py)::(\w+)`", tests)
    assert len(names) == tests.count("`") / 2 > 0
    for file, name in names:
        source = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert re.search(rf"^(def|class) {name}\b", source, re.MULTILINE), f"{file}::{name}"


def anchors(page: Path) -> set[str]:
    """Return what a link into a page may name: its headings, as GitHub writes them."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Links to the repository as well: the package index shows the README by itself."""
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        if target.startswith(REPOSITORY):
            file = ROOT / target.removeprefix(REPOSITORY)
        elif target.startswith(("https:", "http:")):
            continue
        else:
            assert page != ROOT / "README.md", f"relative: {target}"
            file = page.parent / target if target else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_test_that_a_page_names_exists(page: Path) -> None:
    for file, name in re.findall(r"`([\w/]+\.py)::(\w+)", page.read_text(encoding="utf-8")):
        source = (ROOT / "tests" / file.removeprefix("tests/")).read_text(encoding="utf-8")
        assert re.search(rf"^(def|class) {name}\b", source, re.MULTILINE), f"{file}::{name}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_file_of_tests_that_a_page_names_exists(page: Path) -> None:
    for file in re.findall(r"`(tests/[\w/]+\.\w+)", page.read_text(encoding="utf-8")):
        assert (ROOT / file).exists(), file


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_row_of_a_table_is_in_a_table(page: Path) -> None:
    """A row after a blank line, or with another number of cells, is not rendered as one."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    for table in re.findall(r"^\|.*(?:\n\|.*)*", text, re.MULTILINE):
        lines = table.splitlines()
        assert len(lines) > 2, f"no row, or no header: {table}"
        assert re.fullmatch(r"\|( *:?-+:? *\|)+", lines[1]), f"no header: {table}"
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1, table


def test_an_extra_is_named_as_every_shell_takes_it() -> None:
    """In quotes: zsh takes brackets for a pattern, and finds no file of that name."""
    for path in (*PAGES, *(ROOT / "segment_librato").rglob("*.py")):
        bare = re.findall(r"pip\s+install\s+[\w-]+\[.*", path.read_text(encoding="utf-8"))
        assert not bare, path


def log_lines() -> Iterator[str]:
    """Yield the format of each line that the library logs."""
    for path in (ROOT / "segment_librato").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("log."):
                texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
                yield from [text for text in texts if isinstance(text, str)]


def test_each_log_line_is_described() -> None:
    text = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    lines = list(log_lines())
    assert len(lines) > 15
    for line in lines:
        assert all(part in text for part in re.split(r"%[.\d]*[sdf]", line)), line


def test_every_option_is_described_with_its_default() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    for name in Config.names():
        described = [row for row in rows if f"`{name}`" in row.split(" | ")[0]]
        assert len(described) == 1, name
        default = getattr(Config, name)
        if isinstance(default, int) and not isinstance(default, bool):
            assert re.search(rf"\b{default:,}\b", described[0]), name


@pytest.mark.parametrize("account", [LibratoConfig, OpenTelemetryConfig])
def test_every_option_of_an_account_is_described_with_its_default(account: Any) -> None:
    text = (ROOT / "docs" / "librato.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    for name in account.names():
        described = [row for row in rows if f"`{name}`" in row.split(" | ")[0]]
        assert len(described) == 1, name
        default = getattr(account, name)
        if type(default) is int:
            assert re.search(rf"\b{default:,}\b", described[0]), name


def test_the_examples_of_sources_have_these_sources(server: LocalSegment) -> None:
    text = (ROOT / "docs" / "librato.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(track\(.*\))` \| `(.*)` \|$", text, re.MULTILINE)
    assert len(rows) >= 5
    with Client("key", host=server.host) as client:
        for call, source in rows:
            _, message = eval(call, {"track": client.track})  # noqa: S307  our own page
            measurement = map_message(message)
            assert measurement is not None, call
            assert measurement.source == source, call


@pytest.fixture
def default_client(server: LocalSegment, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let clients without a host talk to the local server, and restore the settings."""
    monkeypatch.setattr(config, "DEFAULT_HOST", server.host)
    for name in ("write_key", "debug", "on_error", "default_client", "log_handler"):
        monkeypatch.setattr(analytics, name, getattr(analytics, name))
    analytics.default_client = None
    yield
    if analytics.default_client is not None:
        analytics.shutdown()


@pytest.mark.usefixtures("default_client")
def test_the_examples_of_the_segment_documentation(server: LocalSegment) -> None:
    analytics.write_key = "YOUR_WRITE_KEY"

    def on_error(error: Exception, items: list[dict[str, Any]]) -> None:
        print("An error occurred:", error)  # noqa: T201  as the documentation has it

    analytics.on_error = on_error

    analytics.identify(
        "019mr8mf4r", {"email": "john@example.com", "name": "John Smith", "friends": 30}
    )
    analytics.track("f4ca124298", "Signed Up", {"plan": "Enterprise"})
    analytics.page("user_id", "Docs", "Python", {"url": "http://segment.com"})
    analytics.screen("user_id", "Settings", "Brightness", {"from": "Home Screen"})
    analytics.group("user_id", "group_id", {"name": "Initech", "domain": "Accounting Software"})
    analytics.track("92734232-2342423423-973945", "Anonymous Event")
    analytics.alias("92734232-2342423423-973945", "1234")
    analytics.identify("1234", {"plan": "Free"})
    timestamp = datetime.datetime(2538, 10, 17, 0, 0, 0, 0, tzinfo=tzutc())
    analytics.track(
        "019mr8mf4r", "Bought a game", {"game": "Duke Nukem forever"}, timestamp=timestamp
    )
    for entry in ["2012-10-17T18:58:57.911Z 019mr8mf4r /purchased/tshirt"]:
        timestamp_str, user_id, _ = entry.split(" ")
        timestamp = dateutil.parser.parse(timestamp_str)
        analytics.track(
            user_id, "Shirt Bought", {"color": "Blue", "revenue": 17.90}, timestamp=timestamp
        )
    analytics.track(
        "9742",
        "Song Played",
        integrations={"all": False, "Kissmetrics": True, "Google Analytics": False},
    )
    analytics.track("9742", "Song Played", context={"ip": 1234, "userAgent": "Mozilla/5.0"})
    analytics.flush()

    received = server.messages
    assert [message["type"] for message in received] == [
        *("identify", "track", "page", "screen", "group", "track", "alias", "identify"),
        *("track", "track", "track", "track"),
    ]
    assert received[4]["groupId"] == "group_id"
    assert received[6]["previousId"] == "92734232-2342423423-973945"
    assert received[8]["timestamp"] == "2538-10-17T00:00:00.000+00:00"
    assert received[9]["timestamp"] == "2012-10-17T18:58:57.911+00:00"
    assert received[10]["integrations"]["Kissmetrics"] is True
    assert received[11]["context"]["ip"] == 1234


@pytest.mark.usefixtures("default_client")
def test_the_clients_of_the_segment_documentation(server: LocalSegment) -> None:
    options = {"send": True, "max_queue_size": 100000, "upload_interval": 5, "upload_size": 500}
    client = Client("YOUR_WRITE_KEY", debug=False, on_error=print, gzip=True, **options)  # type: ignore[arg-type]
    client.track("user", "event")
    client.shutdown()
    assert len(server.messages) == 1


@pytest.mark.usefixtures("default_client")
def test_the_examples_of_the_librato_documentation(server: LocalSegment) -> None:
    analytics.write_key = "YOUR_WRITE_KEY"
    analytics.track("507f191e81", "Event Triggered", {"value": 2})
    analytics.track(
        "507f191e81",
        "Event Triggered",
        {"value": 2},
        {"Librato": {"source": "your-web-server-X.X.X.XX"}},
    )
    analytics.track(123, "segment.librato", {"value": 42}, {"source": "web-server-10"})
    analytics.flush()
    assert [(one.name, one.value, one.source) for one in server.measurements] == [
        ("Event-Triggered", 2, "Event-Triggered"),
        ("Event-Triggered", 2, "your-web-server-X.X.X.XX"),
        ("segment.librato", 42, "web-server-10"),
    ]


def test_the_readme_documents_exactly_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^make (\S+)", text, re.MULTILINE)) == {"demo", "test"}
    assert textwrap.dedent(text) == text
