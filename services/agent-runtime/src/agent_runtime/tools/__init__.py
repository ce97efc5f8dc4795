"""Tools: what agents act by."""
