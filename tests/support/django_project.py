"""A project of Django, the same one for all tests of a process: it can be configured only once."""

from __future__ import annotations

import django
from django.conf import settings

__all__ = ["configure"]

APPS = ("auth", "contenttypes", "sessions")
IN_MEMORY = "file:segment_librato?mode=memory&cache=shared"  # one database for all threads


def configure() -> None:
    """Configure the project, unless another test has."""
    if settings.configured:
        return
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": IN_MEMORY}
    settings.configure(
        DATABASES={"default": database},
        INSTALLED_APPS=[f"django.contrib.{name}" for name in APPS],
        SECRET_KEY="not a secret",  # noqa: S106  of tests
        USE_TZ=True,
    )
    django.setup()
