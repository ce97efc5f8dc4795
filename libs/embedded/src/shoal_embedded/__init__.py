"""Shoal on one machine: real PostgreSQL and real NATS from wheels, started, watched and stopped by us."""
