"""Options: what a client and the direct delivery of gauges can be told, checked when it is.

Owns names, defaults, checks, and the texts of errors about options. Must not know messages,
threads or the network.
"""
