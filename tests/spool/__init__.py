"""Clients with a spool: with a real server, processes and signals."""
