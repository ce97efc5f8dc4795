"""The connections: one SSH connection to each running instance, kept, checked, and made again when it is lost."""
