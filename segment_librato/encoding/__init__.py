"""Step 2: a message becomes bytes, once.

Owns which encoder writes a message, and what becomes of values that JSON does not have. The bytes
are the snapshot: later changes to the caller's objects have no effect. Must not know queues or
the network.
"""
