"""What the application has done to each message, or to which, before it is encoded.

The options `before_send`, `default_context`, `sample_rate` and `trace_context`. A client without
them has a router that knows nothing of this package, so that its calls cost nothing more.
"""
