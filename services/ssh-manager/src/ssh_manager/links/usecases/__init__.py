"""Decisions about connections."""
