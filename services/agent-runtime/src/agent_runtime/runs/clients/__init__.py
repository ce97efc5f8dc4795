"""Ways out of a run: models, tools, other processes."""
