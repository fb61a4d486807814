"""For tests of applications: what they track, recorded instead of sent, and assertions about it.

    from segment_librato.testing import capture

    with capture() as segment:
        checkout(cart)
    segment.assert_tracked("Order Completed", value=42.5)

With pytest, the fixture `segment` is such a capture; see docs/testing.md.

Owns what a test asks of its recording, and how a failed assertion looks. Must not know HTTP,
asyncio, or how messages are delivered; only `plugin` knows pytest.
"""

from __future__ import annotations

from segment_librato.testing.capture import Capture, capture

__all__ = ["Capture", "capture"]
