"""Carrying requests and sockets through an instance's tunnels."""
