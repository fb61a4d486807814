"""Step 6: connections, each request of which ends in time.

Owns sessions, deadlines, and how to read whatever a server sends. The only package, besides
`transport.oauth`, that imports `requests`. Must not know what is sent.
"""
