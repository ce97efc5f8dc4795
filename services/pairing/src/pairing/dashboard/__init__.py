"""Dashboard pairing: an agent streams its telemetry to the account of whoever opened the pairing."""
