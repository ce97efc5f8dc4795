"""Sockets: frames to and from browsers."""
