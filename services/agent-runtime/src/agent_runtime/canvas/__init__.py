"""Canvas: what agents draw."""
