"""Decisions of sockets."""
