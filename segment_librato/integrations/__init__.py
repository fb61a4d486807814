"""Middleware: each request, and each task of Celery, gets a scope of its own.

One module for each kind of server or framework, imported by its name; only the module of a
framework imports it. They own what a scope takes from a request. Must not know clients.
"""
