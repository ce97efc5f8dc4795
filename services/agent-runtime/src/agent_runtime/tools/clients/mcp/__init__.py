"""MCP servers: more tools, elsewhere."""
