"""The page's files, the chart library, and the headers of all its responses.

Owns what may be served from disk: the files in `static/`, and one of an installed package. Must
not know what the page shows.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from segment_librato.devserver.http.exchange import InvalidRequestError, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HEADERS", "read_asset"]

CHART = "chart.js"
LIBRARY = ("plotly", "package_data/plotly.min.js")
FOLDER = Path(__file__).parent / "static"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def read_asset(name: str) -> Response:
    """Return a file of the page, or the chart library.

    Raises:
        InvalidRequestError: There is none of that name, or the library is not installed.
    """
    if name == CHART:
        return _read(_find_chart_library())
    # Only names that the folder lists: no path can lead out of it.
    for path in FOLDER.iterdir():
        if path.name == name and path.suffix in TYPES:
            return _read(path)
    raise InvalidRequestError(404, "there is no such file")


def _find_chart_library() -> Path:
    """Return the file inside the installed package, which is not imported."""
    package, name = LIBRARY
    found = importlib.util.find_spec(package)
    for folder in (found and found.submodule_search_locations) or ():
        path = Path(folder) / name
        if path.is_file():
            return path
    raise InvalidRequestError(404, 'first, pip install "segment-librato[debugger]"')


def _read(path: Path) -> Response:
    return Response(200, path.read_bytes(), {"Content-Type": TYPES[path.suffix]})
