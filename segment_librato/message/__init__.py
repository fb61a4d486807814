"""Step 1: a call's arguments become a message, a dict as Segment's specification wants it.

Owns fields, ids and times, and rejects what cannot be sent. Pure; must not know JSON, queues or
the network.
"""
