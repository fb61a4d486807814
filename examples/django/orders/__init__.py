"""Orders and customers."""
