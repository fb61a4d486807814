"""Properties of the events of an app's life, of push notifications and of deep links.

Names and types are those of https://segment.com/docs/connections/spec/mobile/. Must not know names
of events, or how values are checked.
"""

from __future__ import annotations

from typing import TypedDict

__all__ = [
    "ApplicationOpened",
    "ApplicationUpdated",
    "ApplicationVersion",
    "AttributedCampaign",
    "DeepLink",
    "InstallAttributed",
    "PushCampaign",
    "PushNotification",
    "PushNotificationReceived",
]


class ApplicationVersion(TypedDict, total=False):
    """An app that was installed."""

    version: str
    build: str


class ApplicationOpened(ApplicationVersion, total=False):
    """An app that was launched, or brought to the front."""

    from_background: bool
    url: str
    referring_application: str


class ApplicationUpdated(ApplicationVersion, total=False):
    """An app with a new version."""

    previous_version: str
    previous_build: str


class AttributedCampaign(TypedDict, total=False):
    """The campaign that led to an installation."""

    source: str
    name: str
    medium: str
    content: str
    ad_creative: str
    ad_group: str


class InstallAttributed(TypedDict, total=False):
    """Where an installation came from."""

    provider: str
    campaign: AttributedCampaign


class PushCampaign(TypedDict, total=False):
    """The campaign of a push notification."""

    name: str
    medium: str
    content: str
    source: str


class PushNotificationReceived(TypedDict, total=False):
    """A push notification that arrived."""

    campaign: PushCampaign


class PushNotification(PushNotificationReceived, total=False):
    """A push notification that was tapped, or that bounced."""

    action: str


class DeepLink(TypedDict, total=False):
    """A deep link that was clicked, or that opened the app."""

    provider: str
    url: str
