"""Decisions, each with its transaction."""
