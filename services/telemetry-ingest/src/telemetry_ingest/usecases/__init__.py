"""What this service decides."""
