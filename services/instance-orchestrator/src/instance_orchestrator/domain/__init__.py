"""What an instance is, as values and pure functions."""
