"""What things are here: frozen values and pure functions."""
