"""Values and pure rules of sockets."""
