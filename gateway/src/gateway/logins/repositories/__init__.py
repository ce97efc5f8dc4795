"""SQL of logins, and nothing else."""
