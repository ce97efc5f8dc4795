"""What a skill is, how its package is read, and how registries are searched."""
