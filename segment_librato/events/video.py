"""Properties of the events of video players: playback, content, ads.

Names and types are those of https://segment.com/docs/connections/spec/video/. Must not know names
of events, or how values are checked.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

from segment_librato.events.kinds import Date, Number

__all__ = [
    "AdType",
    "VideoAd",
    "VideoContent",
    "VideoPlayback",
    "VideoPlaybackInterrupted",
    "VideoPlaybackSeekStarted",
    "VideoPlaybackStarted",
    "VideoQualityUpdated",
]

AdType: TypeAlias = Literal["pre-roll", "mid-roll", "post-roll"]


class _Playback(TypedDict, total=False):
    session_id: str
    position: int
    total_length: int | None
    bitrate: int
    framerate: Number
    video_player: str
    sound: int
    full_screen: bool
    ad_enabled: bool
    quality: str
    livestream: bool


class VideoPlayback(_Playback, total=False):
    """The state of a player; lengths and positions in seconds."""

    content_asset_id: str
    content_pod_id: str
    ad_asset_id: str | list[str]
    ad_pod_id: str | list[str]
    ad_type: AdType


class VideoPlaybackStarted(_Playback, total=False):
    """The beginning of a playback, with all that it is going to show."""

    content_asset_ids: list[str]
    content_pod_ids: list[str]
    ad_asset_id: str | list[str]
    ad_asset_ids: list[str]
    ad_pod_id: str | list[str]
    ad_pod_ids: list[str]
    ad_type: AdType | list[AdType]
    ad_types: list[AdType]


class VideoPlaybackInterrupted(VideoPlayback, total=False):
    """A playback that stopped unintentionally."""

    method: str


class VideoPlaybackSeekStarted(VideoPlayback, total=False):
    """A jump from `position` to `seek_position`."""

    seek_position: int


class VideoContent(TypedDict, total=False):
    """A part of the content."""

    session_id: str
    asset_id: str
    pod_id: str
    title: str
    description: str
    keywords: list[str]
    season: str
    episode: str
    genre: str
    program: str
    publisher: str
    position: int
    total_length: int | None
    channel: str
    full_episode: bool
    livestream: bool
    airdate: Date
    bitrate: int
    framerate: Number


class VideoAd(TypedDict, total=False):
    """An ad."""

    session_id: str
    asset_id: str
    pod_id: str
    pod_position: int
    pod_length: int
    type: AdType
    title: str
    publisher: str
    position: int
    total_length: int
    load_type: Literal["linear", "dynamic"]
    content: VideoContent
    quartile: int


class VideoQualityUpdated(TypedDict, total=False):
    """A change of quality."""

    bitrate: int
    framerate: Number
    startupTime: Number
    droppedFrames: Number
