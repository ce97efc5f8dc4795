"""Rules, and handing work on by them."""
