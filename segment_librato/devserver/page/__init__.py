"""The debugger's page: every event, request and gauge that the local server receives, to look at.

    debugger    Debugger: a LocalSegment with the page
    extension   what stands before the APIs: the page's own paths, and the journal's entries
    routes      path -> response: the page's HTTP API
    guard       no page but this one, and no other site
    query       the parameters of a request, and what is wrong with them

    recording   a decision of the server -> entries of the journal
    outlines    message -> what a list shows of it
    journal     what is kept, in SQLite
    schema      its tables
    lookups     what is asked of it, but for gauges
    gauges      which gauges there are, and what they have measured
    filters     which events are asked for

    stream      server-sent events: something has changed
    charts      measurements -> the lines of a chart
    trouble     faults on demand
    sending     a message that the page sends
    clients     what connected clients say of themselves
    transfer    JSON lines, out and in
    words       what the command lines say of it
    assets      static files, and the headers of all responses
    static/     the page

Needs only the standard library; the chart library is served if it is installed.
Nothing here is imported by a LocalSegment without the page.
"""
