"""The page of the debugger in Chromium, in an environment of its own: `make browser`."""
