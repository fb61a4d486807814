"""Who may use the page: programs, and the page itself; no other page, and nothing but text."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from support.debugger import ask, events, get
from support.local_server import batch, exchange, post, track

from segment_librato.devserver.page import assets

if TYPE_CHECKING:
    from pathlib import Path

    from segment_librato.devserver import LocalSegment
    from segment_librato.devserver.page.debugger import Debugger

pytestmark = pytest.mark.once

READS = ["/events", "/events/1", "/events.jsonl", "/names", "/requests", "/gauges", "/gauges/g"]
READS += ["/faults", "/clients", "/stream", "/static/app.js", "/static/chart.js", "/favicon.ico"]
WRITES = [("POST", "/events"), ("DELETE", "/events"), ("POST", "/faults"), ("DELETE", "/faults")]
WRITES += [("POST", "/clients"), ("POST", "/send")]
ALL = [*(("GET", path) for path in READS), *WRITES]


def own(debugger: Debugger) -> dict[str, str]:
    return {"Origin": debugger.host, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}


class TestOtherPages:
    @pytest.mark.parametrize("method, path", ALL)
    def test_a_page_of_another_origin_is_refused(
        self, debugger: Debugger, method: str, path: str
    ) -> None:
        port = debugger.server.port
        for origin in (
            "http://127.0.0.1:1",
            "http://localhost:3000",
            f"http://localhost:{port}",
            f"https://127.0.0.1:{port}",
            f"http://127.0.0.1:{port}.evil.example",
            "http://evil.example",
            "null",
        ):
            answer = ask(debugger, path, b"{}", method=method, headers={"Origin": origin})
            assert (answer.status, answer.json["code"]) == (403, "forbidden"), origin

    @pytest.mark.parametrize("method, path", ALL)
    @pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site"])
    def test_what_a_browser_sends_for_another_page_is_refused(
        self, debugger: Debugger, method: str, path: str, site: str
    ) -> None:
        for mode in ("cors", "no-cors", "websocket", ""):
            headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
            assert ask(debugger, path, b"{}", method=method, headers=headers).status == 403

    @pytest.mark.parametrize("method, path", WRITES)
    def test_a_form_of_another_page_is_refused(
        self, debugger: Debugger, method: str, path: str
    ) -> None:
        headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        assert ask(debugger, path, b"x", method=method, headers=headers).status == 403

    def test_a_link_from_another_page_is_followed(self, debugger: Debugger) -> None:
        headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        assert ask(debugger, "/events", headers=headers).status == 200

    @pytest.mark.parametrize("method, path", ALL)
    @pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8765", "192.0.2.1"])
    def test_a_name_that_leads_here_is_refused(
        self, debugger: Debugger, method: str, path: str, host: str
    ) -> None:
        assert ask(debugger, path, b"{}", method=method, headers={"Host": host}).status == 403

    def test_a_url_in_the_path_hides_no_host(self, debugger: Debugger) -> None:
        post(debugger.server, batch(track(event="http://")))
        for target in ("/gauges/http://", "/events?text=://", "/events/1://", "//x/://"):
            request = f"GET {target} HTTP/1.1\r\nHost: evil.example\r\n\r\n"
            assert b" 403 " in exchange(debugger.server, request.encode())

    def test_nothing_was_changed_by_any_of_them(self, debugger: Debugger) -> None:
        post(debugger.server, batch(track()))
        for method, path in WRITES:
            ask(debugger, path, b"{}", method=method, headers={"Origin": "http://localhost:1"})

        assert len(events(debugger)) == 1
        assert get(debugger, "/faults")["faults"] == []

    def test_the_page_itself_is_served(self, debugger: Debugger) -> None:
        headers = own(debugger)
        assert ask(debugger, "/events", headers=headers).status == 200
        assert ask(debugger, "/events", method="DELETE", headers=headers).status == 200
        address = f"LOCALHOST:{debugger.server.port}"
        headers = {"Host": address, "Origin": f"http://{address.lower()}"}
        assert ask(debugger, "/events", method="DELETE", headers=headers).status == 200

    def test_an_application_under_development_may_post_events(self, debugger: Debugger) -> None:
        headers = {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"}
        assert post(debugger.server, batch(track()), headers=headers)[0] == 200


class TestHeaders:
    @pytest.mark.parametrize(
        "method, path", [*ALL, ("GET", "/"), ("HEAD", "/"), ("PUT", "/faults")]
    )
    def test_every_response_of_the_page_has_them(
        self, debugger: Debugger, method: str, path: str
    ) -> None:
        with socket.create_connection(
            ("127.0.0.1", debugger.server.port), timeout=10
        ) as connection:
            head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
            connection.sendall(head.encode())
            received = connection.makefile("rb")
            lines = [line.decode().strip() for line in iter(received.readline, b"\r\n")]

        assert lines[0].split()[1] in {"200", "204", "400", "404", "405"}
        assert (
            "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
            "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'" in lines
        )
        assert "X-Content-Type-Options: nosniff" in lines
        assert "Referrer-Policy: no-referrer" in lines
        assert "Cross-Origin-Resource-Policy: same-origin" in lines
        assert "Cache-Control: no-store" in lines
        assert not [line for line in lines if line.lower().startswith("access-control")]

    @pytest.mark.parametrize(
        "request_text",
        [
            "GET /events HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n\r\n",
            "GET /events HTTP/1.1\r\nHost: evil.example\r\n\r\n",
            "POST /events HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n",
            "POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
            "BREW /events HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "nonsense\r\n\r\n",
            f"GET /{'x' * 70_000} HTTP/1.1\r\n\r\n",
            "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "POST /v1/batch HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ],
        ids=lambda text: text[:90],
    )
    def test_so_has_whatever_else_is_refused_or_served(
        self, debugger: Debugger, request_text: str
    ) -> None:
        head = exchange(debugger.server, request_text.encode()).partition(b"\r\n\r\n")[0]
        lines = head.decode().split("\r\n")[1:]
        assert {f"{name}: {value}" for name, value in assets.HEADERS.items()} <= set(lines)
        names = [line.partition(":")[0] for line in lines]
        assert len(names) == len(set(names))

    def test_a_server_without_the_page_has_none(self, server: LocalSegment) -> None:
        assert b"Content-Security-Policy" not in exchange(server, b"GET / HTTP/1.1\r\n\r\n")

    def test_json_is_never_taken_for_a_page(self, debugger: Debugger) -> None:
        post(debugger.server, batch(track(event="<script>alert(1)</script>")))

        for path in ("/events", "/events/1", "/names"):
            assert ask(debugger, path).headers["Content-Type"] == "application/json"
        export = ask(debugger, "/events.jsonl")
        assert export.headers["Content-Type"] == "application/x-ndjson; charset=utf-8"
        assert export.headers["Content-Disposition"] == 'attachment; filename="events.jsonl"'


class TestFiles:
    @pytest.fixture
    def static(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        folder = tmp_path / "static"
        folder.mkdir()
        (tmp_path / "secret.js").write_text("secret")
        monkeypatch.setattr(assets, "FOLDER", folder)
        return folder

    def test_the_page_is_for_browsers_and_the_status_for_programs(
        self, debugger: Debugger, static: Path
    ) -> None:
        (static / "index.html").write_text("<!doctype html>ä")

        browser = ask(debugger, "/", headers={"Accept": "text/html,*/*;q=0.8"})
        assert (browser.status, browser.body.decode()) == (200, "<!doctype html>ä")
        assert browser.headers["Content-Type"] == "text/html; charset=utf-8"
        assert ask(debugger, "/").json["messages"] == 0
        assert ask(debugger, "/", headers={"Accept": "*/*"}).json["messages"] == 0

    @pytest.mark.parametrize(
        "name, kind",
        [
            ("app.js", "text/javascript; charset=utf-8"),
            ("app.css", "text/css; charset=utf-8"),
            ("icon.svg", "image/svg+xml"),
        ],
    )
    def test_a_file_is_served_with_its_type(
        self, debugger: Debugger, static: Path, name: str, kind: str
    ) -> None:
        (static / name).write_text("content")

        answer = ask(debugger, f"/static/{name}")
        assert (answer.body, answer.headers["Content-Type"]) == (b"content", kind)
        head = ask(debugger, f"/static/{name}", method="HEAD")
        assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", "7")

    @pytest.mark.parametrize(
        "path",
        ["../secret.js", "..%2fsecret.js", "sub/app.js", "app.py", "", ".", "..", "%00", "a"],
    )
    def test_no_other_file_is(self, debugger: Debugger, static: Path, path: str) -> None:
        (static / "app.py").write_text("content")
        (static / "sub").mkdir()
        (static / "sub" / "app.js").write_text("content")

        request = f"GET /static/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert exchange(debugger.server, request.encode()).split(b" ", 2)[1] == b"404"

    def test_the_chart_library_comes_out_of_its_package(
        self, debugger: Debugger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "chart_library"
        folder.mkdir()
        monkeypatch.setattr(assets, "LIBRARY", ("chart_library", "library.min.js"))
        monkeypatch.syspath_prepend(str(tmp_path))
        hint = 'first, pip install "segment-librato[debugger]"'

        assert ask(debugger, "/static/chart.js").json["message"] == hint
        (folder / "__init__.py").write_text("raise RuntimeError('it is not imported')")
        assert ask(debugger, "/static/chart.js").status == 404
        (folder / "library.min.js").write_text("chart")
        assert ask(debugger, "/static/chart.js").body == b"chart"
