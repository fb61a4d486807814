"""The pages of the Python API: which public name is on which page.

Owns the order of pages and names, and the introductions. Must not know how a page is rendered. A
name of `__all__` that no page lists is added to the page of its module: none can be missing.
"""

from __future__ import annotations

import importlib
from typing import NamedTuple

PACKAGE = "segment_librato"
MODULES = {
    PACKAGE: "api/index.md",
    f"{PACKAGE}.librato": "api/librato.md",
    f"{PACKAGE}.events": "api/events.md",
    f"{PACKAGE}.testing": "api/testing.md",
    f"{PACKAGE}.devserver": "api/devserver.md",
    f"{PACKAGE}.spark": "api/spark.md",
    f"{PACKAGE}.integrations": "api/integrations.md",
}
"""The public modules, and the page of each."""

LATE = {
    PACKAGE: ["stats", "default_client", "import_rows", "ImportReport"],
    f"{PACKAGE}.integrations": [
        "asgi.SegmentMiddleware",
        "wsgi.SegmentMiddleware",
        "django.SegmentMiddleware",
        "celery.carry_scopes",
        "celery.HEADER",
    ],
    f"{PACKAGE}.spark": ["SegmentDataSource"],
    f"{PACKAGE}.testing": ["plugin.segment"],
}
"""What is public, and not in `__all__`: it is imported on first use, or changes."""


OPTIONS = {
    "Client": "inherited_members: [track]",  # of a base that is not public
    **dict.fromkeys(
        (
            *("LibratoConfig", "OpenTelemetryConfig", "config.gauges.DirectDelivery"),
            *("SpoolConfig", "MessageTooLargeError"),
        ),
        "members: false",  # they are for the library itself
    ),
}
"""Options of mkdocstrings for single names."""


class Section(NamedTuple):
    """A heading of a page, and the names below it."""

    heading: str
    names: list[str]


class ApiPage(NamedTuple):
    """A page of the API."""

    title: str
    module: str
    introduction: str
    sections: list[Section]


def _page(title: str, module: str, introduction: str, **sections: str) -> ApiPage:
    """Return a page; a section is named by a keyword, and lists its names as words."""
    found = [Section(key.replace("_", " "), names.split()) for key, names in sections.items()]
    return ApiPage(title, module, introduction, found)


PAGES = {
    "api/index.md": _page(
        "Functions and settings",
        PACKAGE,
        "`import segment_librato as analytics`: the calls of the default client, which is made from"
        " the settings of the module on the first call. All of them are thread-safe.",
        Calls="track identify group alias page screen",
        Scopes="scope Scope",
        Gauges="gauge increment timer configure_gauge",
        Delivery="flush aflush join shutdown preload flush_on_sigterm stats",
        The_module="default_client install_as_segment_analytics __version__",
    ),
    "api/client.md": _page(
        "Client and counters",
        PACKAGE,
        "A client of your own: for a second source, or to have no state in a module.",
        Classes="Client Stats SpoolStats Timer",
    ),
    "api/options.md": _page(
        "Options and types",
        PACKAGE,
        "Values of options, and what the arguments of calls may be. [Configuration]"
        "(../configuration.md) has the options themselves.",
        Options="LibratoConfig OpenTelemetryConfig config.gauges.DirectDelivery SpoolConfig",
        Callbacks="OnError OnDelivered BeforeSend DefaultContext",
        Types="Identifier Timestamp Properties Message Timeout",
    ),
    "api/errors.md": _page(
        "Errors",
        PACKAGE,
        "When each is raised or passed to `on_error`, and what to do about it, is in"
        " [Errors and log lines](../errors.md).",
        Errors="SegmentError ConfigError ValidationError MessageTooLargeError RejectionError"
        " QueueFullError ClientClosedError HookError DeliveryError APIError NetworkError"
        " ShutdownTimeoutError ImportStoppedError SpoolError SpoolFullError SpoolExpiredError"
        " SpoolCorruptError",
    ),
    "api/history.md": _page(
        "Import and drain",
        PACKAGE,
        "History from a program, and what a spool holds. The guides are [Import rows]"
        "(../import-rows.md) and [The spool](../spool.md).",
        Import="import_rows ImportReport",
        Spool="drain_spool DrainReport",
    ),
    "api/librato.md": _page(
        "segment_librato.librato",
        f"{PACKAGE}.librato",
        "The pure mapper: from a message to its measurement. The rules are in [Librato]"
        "(../librato.md).",
        Mapper="map_message explain Measurement",
    ),
    "api/events.md": _page(
        "segment_librato.events",
        f"{PACKAGE}.events",
        "Segment's standard events as types, and checks for messages. The guide is [Events]"
        "(../events.md).",
        Checks="check Problem TrackingPlan EVENTS",
        Values="Number Date",
    ),
    "api/testing.md": _page(
        "segment_librato.testing",
        f"{PACKAGE}.testing",
        "What tests of applications record. The guide is [Testing](../testing.md).",
        Capture="capture Capture plugin.segment",
    ),
    "api/integrations.md": _page(
        "segment_librato.integrations",
        f"{PACKAGE}.integrations",
        "Middleware that gives each request, and each task, a scope. Each module is imported by its"
        " name. The guide is [Scopes](../scopes.md).",
        ASGI="asgi.SegmentMiddleware",
        WSGI="wsgi.SegmentMiddleware",
        Django="django.SegmentMiddleware",
        Celery="celery.carry_scopes celery.HEADER",
    ),
    "api/devserver.md": _page(
        "segment_librato.devserver",
        f"{PACKAGE}.devserver",
        "A local Segment and Librato, for tests that need a server. The guides are [Quickstart]"
        "(../quickstart.md#try-it-without-segment) and [The debugger](../debugger.md).",
        Server="LocalSegment",
        What_it_received="Request Dropped Sample Point",
    ),
    "api/spark.md": _page(
        "segment_librato.spark",
        f"{PACKAGE}.spark",
        "Needs `segment-librato[spark]`. The guide is [Import from Spark](../spark.md).",
        Spark="deliver SegmentDataSource",
    ),
}


def public_names() -> dict[str, list[str]]:
    """Return the public names of each module, as the module itself has them."""
    return {module: [*_all_of(module), *LATE.get(module, [])] for module in MODULES}


def markdown(uri: str, settings: list[str]) -> str:
    """Return the source of a page.

    Args:
        uri: of the page.
        settings: the options of a client, which are settings of the module as well.
    """
    page = PAGES[uri]
    parts = [f"# {page.title}", page.introduction]
    for heading, names in [*page.sections, *_rest(uri, page, settings)]:
        parts.append(f"## {heading} {{: .api-section }}")
        for name in names:
            options = "\n      ".join(["heading_level: 3", *filter(None, [OPTIONS.get(name)])])
            parts.append(f"::: {page.module}.{name}\n    options:\n      {options}")
    return "\n\n".join(parts) + "\n"


def _rest(uri: str, page: ApiPage, settings: list[str]) -> list[Section]:
    """Return the sections of what no page lists."""
    if MODULES[page.module] != uri:
        return []
    listed = {
        name
        for other in PAGES.values()
        if other.module == page.module
        for section in other.sections
        for name in section.names
    }
    rest = [name for name in _all_of(page.module) if name not in listed]
    sections = [Section("Properties, traits and contexts" if "events" in uri else "More", rest)]
    if page.module == PACKAGE:
        sections.append(Section("Settings", settings))
    return [section for section in sections if section.names]


def _all_of(module: str) -> list[str]:
    if module == f"{PACKAGE}.spark":
        return ["deliver"]  # it needs pyspark
    if module == f"{PACKAGE}.integrations":
        return []  # its modules are imported by their names
    names: list[str] = importlib.import_module(module).__all__
    return names
