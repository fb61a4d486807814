"""All that sending takes. To import this module is to import HTTP, which takes about 100 ms.

The first message does so. A server that is about to fork its workers may do it before, so that
none of them has to and all of them share the memory: `import segment_librato.sending`. Owns
nothing but the list.
"""

from __future__ import annotations

from segment_librato.delivery.retry import load_backoff
from segment_librato.encoding.encoder import message_encoder
from segment_librato.gauge_delivery.librato import LibratoTransport
from segment_librato.transport.segment import SegmentTransport

__all__ = ["LibratoTransport", "SegmentTransport"]

load_backoff()
message_encoder()
