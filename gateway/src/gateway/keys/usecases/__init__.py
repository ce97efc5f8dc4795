"""Decisions about API keys, each with its transaction."""
