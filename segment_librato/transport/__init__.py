"""Step 5: one POST of one batch to Segment.

Owns the seam between delivery and the network (`base`), the request body and its limits, and
authentication. Must not know queues or retries.
"""
