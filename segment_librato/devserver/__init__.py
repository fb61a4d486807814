"""A local stand-in for the Segment HTTP API, for tests and development.

    exchange        Request, Answer: the values that pass between the modules
    body            bytes → JSON value
    message_rules   JSON value → refused, dropped or kept
    api             request → verdict: routes, write key, batch
    script          scripted answers: faults on demand
    inbox           what was received
    connection      HTTP/1.1 on one connection
    listener        the listening socket and the threads
    server          LocalSegment, which joins them
    __main__        python -m segment_librato.devserver

Needs nothing but the standard library and the mapper. The client never imports it.
"""

from segment_librato.devserver.api import Dropped
from segment_librato.devserver.exchange import Request
from segment_librato.devserver.server import LocalSegment

__all__ = ["Dropped", "LocalSegment", "Request"]
