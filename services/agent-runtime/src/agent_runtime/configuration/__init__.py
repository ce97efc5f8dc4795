"""Configuration: defaults, providers and their keys."""
