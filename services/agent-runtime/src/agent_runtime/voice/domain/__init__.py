"""Values and pure rules of voice."""
