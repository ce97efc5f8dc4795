"""What every Shoal service stands on: process, configuration, database, messages, HTTP, identity, observability.

Knows no domain word. A piece belongs here when three services need it.
"""
