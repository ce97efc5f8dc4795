"""Configuration: what an account's agents use by default, and by which keys they reach their models."""
