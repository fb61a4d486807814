"""The app, and where analytics are set up."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings

import segment_librato as analytics


class OrdersConfig(AppConfig):
    """Tell the library the settings once, when Django has them."""

    name = "orders"

    def ready(self) -> None:
        """Set up analytics, before a server forks its workers."""
        analytics.write_key = settings.SEGMENT_WRITE_KEY
        analytics.host = settings.SEGMENT_HOST
        analytics.preload()  # so that no request waits for imports
