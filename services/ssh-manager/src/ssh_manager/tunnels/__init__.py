"""Tunnels: from a port of this machine, over an instance's one connection, to a port of the instance."""
