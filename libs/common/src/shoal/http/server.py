"""uvicorn as we run it: uvloop, httptools, sans-I/O WebSockets without compression, bounded shutdown.

Reading may be paused for long, so a protocol ping would cut peers that are well. TCP itself asks instead: the kernel
ends a connection whose peer answers neither data nor keep-alive probes for so many seconds, and one whose peer takes
nothing of what waits for it for as long.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import uvicorn

from shoal.http.asgi import ASGIApp

BACKLOG = 2048
KEEP_ALIVE_S = 75
HALF_OPEN_AFTER_S = 45.0
_PROBES = 3
MAX_FRAME_BYTES = 64 * 1024


class Server(uvicorn.Server):
    """A server whose signals belong to the runtime."""

    def hurry(self) -> None:
        """Stop and cut off what is under way, also in the middle of an orderly stop."""
        self.should_exit = self.force_exit = True
        for task in self.server_state.tasks:
            task.cancel()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; a port that cannot be had fails this server, not the whole process.

        Raises:
            OSError: The port cannot be had.
        """
        try:
            await super().startup(sockets=sockets)
        except SystemExit as error:
            raise OSError(f"cannot listen on {self.config.host}:{self.config.port}") from error


def make_server(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    drain_timeout_s: float,
    http: Any = "httptools",
    max_frame_bytes: int = MAX_FRAME_BYTES,
) -> Server:
    """Make a server for one application.

    Args:
        app: The ASGI application.
        host: Address to listen on.
        port: Port; 0 takes a free one.
        drain_timeout_s: How long requests under way may run once shutdown began.
        http: The HTTP protocol class; the gateway brings a stricter one.
        max_frame_bytes: The largest WebSocket message that is read; larger ones close with 1009.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="none",
        http=http,
        ws="websockets-sansio",
        ws_max_size=max_frame_bytes,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(drain_timeout_s),
        backlog=BACKLOG,
    )
    return Server(config)


def bind(host: str, port: int, *, half_open_after_s: float = HALF_OPEN_AFTER_S) -> socket.socket:
    """Take an address before the server starts; uvicorn itself would end the process when it cannot have it.

    Args:
        host: Address to listen on.
        port: Port; 0 takes a free one.
        half_open_after_s: How long a peer may leave TCP unanswered before its connection counts as lost.

    Raises:
        RuntimeError: It cannot be had; says why.
    """
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
        _tune(listening, half_open_after_s)
    except OSError as error:
        raise RuntimeError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listening


def _tune(listening: socket.socket, half_open_after_s: float) -> None:
    """Set what accepted sockets inherit."""
    # asyncio sets it only on sockets made with an explicit protocol; without it the body of an answer waits 40 ms for
    # the caller's delayed acknowledgement of the head.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    probe_s = max(1, int(half_open_after_s / (_PROBES + 1)))
    options = {
        "TCP_KEEPIDLE": probe_s,
        "TCP_KEEPINTVL": probe_s,
        "TCP_KEEPCNT": _PROBES,
        "TCP_USER_TIMEOUT": int(half_open_after_s * 1000),
    }
    for option, value in options.items():
        if hasattr(socket, option):  # some systems lack some
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


async def until_listening(server: Server, serving: "asyncio.Task[None]", *, deadline_s: float = 15) -> tuple[str, int]:
    """Wait until a server takes connections; returns the address it listens on.

    Raises:
        RuntimeError: It ended before it began, or took too long.
    """
    deadline = time.monotonic() + deadline_s
    while not server.started:
        if serving.done() or time.monotonic() > deadline:
            cause = serving.exception() if serving.done() and not serving.cancelled() else None
            raise RuntimeError(f"no server came up on {server.config.host}:{server.config.port}") from cause
        await asyncio.sleep(0.005)
    address: tuple[str, int] = server.servers[0].sockets[0].getsockname()[:2]
    return address
