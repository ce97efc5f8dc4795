"""What works beside requests: the reconciler."""
