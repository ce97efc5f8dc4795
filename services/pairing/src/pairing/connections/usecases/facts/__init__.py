"""What is told of agents, connections and agent pairings."""
