"""API keys: what programs of a user come in with."""
