"""A local stand-in for the Segment and Librato APIs, for tests and development.

    server        LocalSegment: the state that tests read, and what joins the rest
    faults        scripted responses: faults on demand
    interfaces    what an API and an extension are to the server

    http/         sockets and HTTP; knows neither API
      listener      the listening socket and the threads
      connection    HTTP/1.1 on one connection
      exchange      Request, Response, Verdict: the values that pass between the modules
      credentials   user name and password of a request
      sender        programs, but no web pages of other sites
      body          bytes -> JSON value

    segment/      the Segment API
      api           request -> verdict: routes, write key, batch
      rules         message -> rejected, dropped or kept
      store         what was received

    librato/      the Librato API
      api           request -> verdict: routes, credentials, errors
      rules         JSON value -> samples
      fields        the rules for single fields
      samples       Sample, Point, and the aggregation
      store         metrics and samples

    page/         the debugger's page, and its journal
    watching      has the page show the counters of a client

    __main__      python -m segment_librato.devserver
    command       run a server until Ctrl-C
    demo/         python -m segment_librato.devserver.demo
    view          what the command line shows of a request
    terminal      what may be written to a terminal

The server needs only the standard library and the mapper; the demo runs a client, too. The page is
an extension of the server, which does without it unless it is asked for.
The client never imports any of it.
"""

from segment_librato.devserver.http.exchange import Request
from segment_librato.devserver.librato.samples import Point, Sample
from segment_librato.devserver.segment.api import Dropped
from segment_librato.devserver.server import LocalSegment

__all__ = ["Dropped", "LocalSegment", "Point", "Request", "Sample"]
