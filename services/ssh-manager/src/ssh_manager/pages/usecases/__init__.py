"""Decisions about pages."""
