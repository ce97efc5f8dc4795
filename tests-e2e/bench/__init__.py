"""Benches: what Shoal reaches, beside its ceiling and its peers in the same run; `python tests-e2e/bench --help`."""
