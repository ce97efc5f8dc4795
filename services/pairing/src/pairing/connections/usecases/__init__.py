"""Decisions about agents, connections and agent pairings, each with its transaction."""
