"""Ways out that are not tables."""
