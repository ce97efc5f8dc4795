"""Pairing: who is paired with whom.

Two subjects that never mix. `dashboard`: a user pairs an agent with the account's dashboard, so that its telemetry is
watched there. `connections` (AgentDrop): agents of two accounts that trust each other are paired with each other.
"""
