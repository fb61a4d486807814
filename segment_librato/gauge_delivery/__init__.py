"""Direct delivery of gauges: measurements go to Librato, AppOptics or an OTLP endpoint.

Owns a second pipeline with the same parts as that of messages (`pipeline`), but with a queue that
adds samples up (`queue`, `aggregate`), its own JSON (`wire`) and its own transports (`librato`,
and `otlp` with `otlp_endpoint`); and the calls `gauge` and `configure_gauge` (`calls`). Must not
know how a message becomes a measurement: that is `segment_librato.librato`.

The package is not called `gauges`, because that is a setting of `segment_librato` and would hide
a subpackage of the same name.
"""
