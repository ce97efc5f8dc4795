"""Fixtures come from shoal.testing; here is a place for the ways into instances."""
