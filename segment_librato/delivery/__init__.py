"""Step 4: who delivers, and when.

Owns consumers, retries, `on_error`, and what flush, join, shutdown, fork and exit mean. Must not
know what a message says, or HTTP.
"""
