"""What tools take, and what an MCP server is."""
