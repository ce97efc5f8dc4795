"""Decisions about dashboard pairings, each with its transaction."""
