"""The version: read by the build, sent in every message and request."""

VERSION = "1.0.0"
USER_AGENT = f"segment-librato/{VERSION}"
