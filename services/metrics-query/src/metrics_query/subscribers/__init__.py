"""Facts of other services, and the samples of agents."""
