"""The demo: four web servers, an API that goes down, a poisoned event, and nothing lost.

    plan        what is tracked, and how the API fails
    play        when it happens
    story       what is told while it happens
    chart       the gauges as bars
    outcome     whether all went as it should
    __main__    python -m segment_librato.devserver.demo
    live        the web servers track into a debugger, to be looked at in a browser

Runs the real client against the local server. Must not know how either works inside.
"""
