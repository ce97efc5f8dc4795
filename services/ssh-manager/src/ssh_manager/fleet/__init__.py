"""Copies of what instance-orchestrator owns: the instances, and who may use them."""
