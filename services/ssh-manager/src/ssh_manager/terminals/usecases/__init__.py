"""Decisions about terminals."""
