"""Skills: packages of instructions that an agent can be given, where they come from, and which are in use."""
