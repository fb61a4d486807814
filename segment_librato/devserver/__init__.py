"""A local stand-in for the Segment HTTP API and Librato's, for tests and development.

    exchange          Request, Response, Verdict: the values that pass between the modules
    credentials       user name and password of a request
    body              bytes → JSON value
    apis              what an API is to the server: rules and a store

    api               Segment, request → verdict: routes, write key, batch
    message_rules     JSON value → refused, dropped or kept
    inbox             what was received

    librato_api       Librato, request → verdict: routes, credentials, errors
    librato_rules     JSON value → samples
    librato_fields    the rules for single fields
    librato_samples   Sample, Point, and the aggregation
    librato_store     metrics and samples

    script            scripted answers: faults on demand
    connection        HTTP/1.1 on one connection
    listener          the listening socket and the threads
    server            LocalSegment, which joins them
    __main__          python -m segment_librato.devserver

Needs nothing but the standard library and the mapper. The client never imports it.
"""

from segment_librato.devserver.http.exchange import Request
from segment_librato.devserver.librato.samples import Point, Sample
from segment_librato.devserver.segment.api import Dropped
from segment_librato.devserver.server import LocalSegment

__all__ = ["Dropped", "LocalSegment", "Point", "Request", "Sample"]
