"""Real servers for tests: PostgreSQL and NATS, services at work, principals, events seen.

PostgreSQL is the one given by `TEST_DATABASE_URL`, else a container if Docker answers, else one from the wheels of
shoal-embedded; NATS, of which each test has its own, always comes from those. Nothing is skipped for want of a server.
"""
