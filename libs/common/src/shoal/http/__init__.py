"""The HTTP side of a service: one application shape, one error body, one identity."""
