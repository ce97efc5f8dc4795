"""Ways in: the socket, the request, and what other services may ask."""
