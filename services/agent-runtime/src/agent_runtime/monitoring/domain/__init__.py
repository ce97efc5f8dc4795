"""Values and pure rules of monitoring."""
