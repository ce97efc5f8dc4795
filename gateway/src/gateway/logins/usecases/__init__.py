"""Decisions about logins, each with its transaction."""
