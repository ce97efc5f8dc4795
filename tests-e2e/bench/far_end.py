"""The far end of tunnels: `far_end.py <port>`."""

import contextlib
import os
import socket
import sys

LOOPBACK = "127.0.0.1"
MIB = 1024 * 1024


def serve(port: int) -> None:
    """Answer each line, a number, with so many bytes."""
    block = os.urandom(MIB)
    with socket.create_server((LOOPBACK, port), backlog=16) as listening:
        while True:
            connection, _ = listening.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection, connection.makefile("rb") as lines, contextlib.suppress(OSError):
                for line in lines:
                    left = int(line)
                    while left:
                        sent = connection.send(block[: min(left, MIB)])
                        left -= sent


if __name__ == "__main__":
    serve(int(sys.argv[1]))
