"""What comes from outside: exceptions of signal handlers, proxies and lazy objects, and text.

Owns how each is recognized and made safe, for any other module. Must not know anything else of
the library.
"""
