"""HTTP for the local server: sockets, requests, responses. Must not know either API."""
