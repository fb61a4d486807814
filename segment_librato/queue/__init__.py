"""Step 3: bytes wait, and every one of them is accounted for.

Owns the queue, its bounds, when a batch is due, and the ledger behind `Client.stats`. Must not
know what a message means, what a consumer does, or the network.
"""
