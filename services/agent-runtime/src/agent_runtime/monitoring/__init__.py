"""Monitoring: tokens, costs, budgets and timed turns."""
