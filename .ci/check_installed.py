#!/usr/bin/env python3
"""What is installed works by itself: its modules can be imported, and a message arrives."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

import segment_librato
from segment_librato import Client
from segment_librato.devserver import LocalSegment

OPTIONAL = {
    "asgiref",
    "celery",
    "click",
    "django",
    "google",
    "jwt",
    "opentelemetry",
    "pyarrow",
    "pyspark",
    "pytest",
    "rich",
}  # what comes with an extra, or is there where a module of ours is for it


def check(condition: object, complaint: str) -> None:
    """End with a complaint, unless the condition holds."""
    if not condition:
        sys.exit(complaint)


def main() -> None:
    """Check the installation that this interpreter finds."""
    package = Path(segment_librato.__file__).parent
    check(package.is_relative_to(sys.prefix), f"{package} is not what was installed")
    check((package / "py.typed").exists(), "py.typed is missing")
    modules = [
        module.name
        for module in pkgutil.walk_packages(segment_librato.__path__, "segment_librato.")
        if not module.name.endswith("__main__")
    ]
    for module in modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            check((error.name or "").partition(".")[0] in OPTIONAL, f"{module}: {error}")
    with LocalSegment() as server:
        client = Client("test-key", host=server.host)
        accepted, message = client.track("ada", "Installed", {"modules": len(modules)})
        check(accepted, "the message was rejected")
        check(client.flush(timeout=10), "the message was not delivered")
        check(server.messages == [message], f"what arrived is {server.messages}")
        client.shutdown()


if __name__ == "__main__":
    main()
