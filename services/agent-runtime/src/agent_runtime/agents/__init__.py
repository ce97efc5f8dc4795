"""Agents: who there is, on which model, with which skills and tools."""
