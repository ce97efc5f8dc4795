"""HTTP: the contract's paths and what Shoal adds to them."""
