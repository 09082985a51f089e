"""Published datasets and practice folders, each read from its own layout into examples."""
