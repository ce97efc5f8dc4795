"""Decisions about accounts and users, each with its transaction."""
