"""What comes from outside: exceptions of signal handlers, proxies, text, values of any kind.

Owns how each is recognized and made safe, for any other module. Must not know anything else of
the library.
"""
