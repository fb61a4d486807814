"""Options of a client and of the direct delivery of gauges, checked once, when they are set.

Owns names, defaults, checks, and the texts of errors about options. Must not know messages,
threads or the network.
"""
