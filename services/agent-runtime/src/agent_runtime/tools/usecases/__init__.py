"""Which tools there are, the servers that bring more, and the folders that tools leave behind."""
