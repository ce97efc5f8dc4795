"""Real servers for tests: PostgreSQL and NATS, services at work, principals, events seen.

Servers are taken in this order: given by URL (`TEST_DATABASE_URL`, `TEST_NATS_URL`) → containers if Docker answers →
the wheels of shoal-embedded → failure. Never skipped.
"""
