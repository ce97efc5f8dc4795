"""Where packages come from: those that ship with the service, and a registry elsewhere."""
