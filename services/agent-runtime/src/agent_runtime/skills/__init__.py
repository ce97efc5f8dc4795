"""Skills: packages of instructions that an agent can be given."""
