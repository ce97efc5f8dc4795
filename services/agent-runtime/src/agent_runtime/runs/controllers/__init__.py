"""HTTP: messages, runs, approvals, tools."""
