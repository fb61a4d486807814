"""Direct delivery of gauges: measurements go to Librato, AppOptics or an OTLP endpoint.

A second pipeline, made of the same parts as that of messages: its own queue (`queue`, with
`aggregate`), its own transports (`librato`, `otlp`), and the calls `gauge` and `configure_gauge`.
The mapping itself is in `segment_librato.librato`. (The package cannot be called `gauges`: that
is a setting of `segment_librato`, and would hide a subpackage of the same name.)
"""
