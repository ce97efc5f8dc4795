"""SQL of dashboard pairing, and nothing else."""
