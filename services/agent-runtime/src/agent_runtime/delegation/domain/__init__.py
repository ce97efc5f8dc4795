"""How complex a task is, which rule it falls under, and what plain code can do of it."""
