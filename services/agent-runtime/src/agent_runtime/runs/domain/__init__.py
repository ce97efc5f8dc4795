"""Runs: what they are, as values and pure functions."""
