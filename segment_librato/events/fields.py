"""What all messages of a type may have: traits, context, properties of pages, screens and events.

Names and types are those of https://segment.com/docs/connections/spec/common/ and of the pages
`identify`, `group`, `page`, `screen` and `track` beside it. Must not know names of events, or how
values are checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from segment_librato.events.kinds import Date, Number

__all__ = [
    "Address",
    "App",
    "Campaign",
    "Company",
    "Context",
    "Device",
    "GroupTraits",
    "Library",
    "LibratoContext",
    "Network",
    "OperatingSystem",
    "PageProperties",
    "ProtocolsContext",
    "Referrer",
    "ScreenProperties",
    "ScreenSize",
    "TrackProperties",
    "UserAgentBrand",
    "UserAgentData",
    "UserTraits",
]


class TrackProperties(TypedDict, total=False):
    """What has a meaning in any event."""

    revenue: Number
    currency: str
    value: Number


class PageProperties(TypedDict, total=False):
    """A page of a website."""

    name: str
    path: str
    referrer: str
    search: str
    title: str
    url: str
    keywords: list[str]


class ScreenProperties(TypedDict, total=False):
    """A screen of an app."""

    name: str


class Address(TypedDict, total=False):
    """The address of a user or a group."""

    street: str
    city: str
    state: str
    postalCode: str
    country: str


class Company(TypedDict, total=False):
    """The company of a user."""

    name: str
    id: str | Number
    industry: str
    employee_count: Number
    plan: str


class UserTraits(TypedDict, total=False):
    """What is known about a user."""

    address: Address
    age: Number
    avatar: str
    birthday: Date
    company: Company
    createdAt: Date
    description: str
    email: str
    firstName: str
    gender: str
    id: str
    lastName: str
    name: str
    phone: str
    title: str
    username: str
    website: str


class GroupTraits(TypedDict, total=False):
    """What is known about a group; the spec has `employees` as text, its example as a number."""

    address: Address
    avatar: str
    createdAt: Date
    description: str
    email: str
    employees: str | Number
    id: str
    industry: str
    name: str
    phone: str
    plan: str
    website: str


class App(TypedDict, total=False):
    """The app."""

    name: str
    version: str
    build: str
    namespace: str


class Campaign(TypedDict, total=False):
    """The campaign that led to a call."""

    name: str
    source: str
    medium: str
    term: str
    content: str


class Device(TypedDict, total=False):
    """The device."""

    id: str
    advertisingId: str
    adTrackingEnabled: bool
    manufacturer: str
    model: str
    name: str
    type: str
    token: str
    version: str


class Library(TypedDict, total=False):
    """The library that sends the message; the client sets it."""

    name: str
    version: str


class LibratoContext(TypedDict, total=False):
    """The source of a measurement."""

    source: str


class Network(TypedDict, total=False):
    """The connection."""

    bluetooth: bool
    carrier: str
    cellular: bool
    wifi: bool


class OperatingSystem(TypedDict, total=False):
    """The operating system."""

    name: str
    version: str


class ProtocolsContext(TypedDict, total=False):
    """The version of the event in the tracking plan."""

    event_version: int


class Referrer(TypedDict, total=False):
    """How the user came here."""

    id: str
    type: str
    name: str
    url: str
    link: str


class ScreenSize(TypedDict, total=False):
    """The screen of the device."""

    density: Number
    height: Number
    width: Number


class UserAgentBrand(TypedDict, total=False):
    """A brand of a browser."""

    brand: str
    version: str


class UserAgentData(TypedDict, total=False):
    """What a browser says of itself."""

    brands: Sequence[UserAgentBrand]
    mobile: bool
    platform: str
    bitness: str
    model: str
    platformVersion: str
    uaFullVersion: str
    fullVersionList: Sequence[UserAgentBrand]
    wow64: bool


class Context(TypedDict, total=False):
    """The circumstances of a call."""

    active: bool
    app: App
    campaign: Campaign
    channel: str
    device: Device
    groupId: str
    ip: str
    library: Library
    Librato: LibratoContext
    locale: str
    network: Network
    os: OperatingSystem
    page: PageProperties
    protocols: ProtocolsContext
    referrer: Referrer
    screen: ScreenSize
    timezone: str
    traits: UserTraits
    userAgent: str
    userAgentData: UserAgentData
