"""SQL of this subject, and nothing else."""
