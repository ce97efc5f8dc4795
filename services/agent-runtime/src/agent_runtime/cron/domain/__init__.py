"""When a job is due, and what a firing is."""
