"""A local stand-in for the Segment HTTP API and the Librato Metrics API.

    exchange        Request, Answer: the values that pass between the modules
    body            bytes → JSON value
    message_rules   JSON value → refused, dropped or kept
    api             request → verdict: routes of Segment, write key, batch
    librato_rules   JSON value → refused, or a sample
    librato_api     request → verdict: routes of Librato, account
    librato_store   samples, metrics, and the points of a graph
    script          scripted answers: faults on demand
    inbox           what was received
    connection      HTTP/1.1 on one connection
    listener        the listening socket and the threads
    server          LocalSegment, which joins them
    __main__        python -m segment_librato.devserver

Needs nothing but the standard library and the mapper. The client never imports it.
"""

from segment_librato.devserver.exchange import Dropped, Request
from segment_librato.devserver.librato_store import LibratoStore, Sample
from segment_librato.devserver.server import LocalSegment

__all__ = ["Dropped", "LibratoStore", "LocalSegment", "Request", "Sample"]
