"""Ways out of a run: to other processes."""
