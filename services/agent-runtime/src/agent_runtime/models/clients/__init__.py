"""Ways to models: the one within, and those of providers."""
