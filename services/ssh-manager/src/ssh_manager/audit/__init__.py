"""The audit log, and the addresses from which callers may come."""
