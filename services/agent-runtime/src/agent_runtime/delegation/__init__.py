"""Delegation: work that one agent hands to a model or to plain code."""
