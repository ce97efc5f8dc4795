"""Renders all that is derived from the `.proto` files; run as `python -m generate` in `proto-schemas/`."""
