"""Runs: answering a message. The turn, its models, its tools, and who may approve them."""
