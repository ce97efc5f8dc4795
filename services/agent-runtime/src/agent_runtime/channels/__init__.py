"""Channels: where people meet agents."""
