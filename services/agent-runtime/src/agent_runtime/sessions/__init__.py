"""Sessions: what was said between people and an agent, in order."""
