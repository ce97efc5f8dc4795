"""The pages of an instance: its screens with the live log, and its gateway's status."""

import asyncio
import html
import http
import importlib.resources
import ipaddress
import logging
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from shoal_agent.instance.logbook import Logbook

JSON, HTML = "application/json", "text/html; charset=utf-8"
LOG_PATH = "/log"

quiet = logging.getLogger("shoal_agent.instance.quiet")
quiet.propagate = False
quiet.addHandler(logging.NullHandler())


class Screen:
    """A page that shows the log as it is written: `/vnc.html`, fed by the WebSocket `/log`."""

    def __init__(self, title: str, logbook: Logbook) -> None:
        text = importlib.resources.files("shoal_agent.instance").joinpath("screen.html").read_text(encoding="utf-8")
        self._page = text.replace("{{title}}", html.escape(title)).encode()
        self._logbook = logbook

    async def open(self, host: str, port: int) -> Server:
        """Serve on an address.

        Raises:
            OSError: The port is taken.
        """
        return await serve(
            self._follow,
            host,
            port,
            process_request=self._answer,
            logger=quiet,
            server_header=None,
            compression=None,
            max_size=4096,
        )

    def _answer(self, _: ServerConnection, request: Request) -> Response | None:
        path = urlsplit(request.path).path
        if not _is_own_host(request):
            return answer(http.HTTPStatus.FORBIDDEN, JSON, b'{"detail":"ask for this by its address"}')
        if path == LOG_PATH:
            return None if _is_same_origin(request) else answer(http.HTTPStatus.FORBIDDEN, JSON, b"{}")
        if path in {"/", "/vnc.html", "/vnc_lite.html"}:
            return answer(http.HTTPStatus.OK, HTML, self._page)
        return answer(http.HTTPStatus.NOT_FOUND, JSON, b'{"detail":"there is nothing here"}')

    async def _follow(self, socket: ServerConnection) -> None:
        lines, queue = self._logbook.watch()
        gone = asyncio.ensure_future(socket.wait_closed())
        try:
            await socket.send("\n".join(lines))
            while not gone.done():
                coming = asyncio.ensure_future(queue.get())
                await asyncio.wait({coming, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    coming.cancel()
                    return
                await socket.send(coming.result())
        finally:
            gone.cancel()
            self._logbook.leave(queue)


class StatusPage:
    """What an instance's gateway says of itself, at `/` and `/health`."""

    def __init__(self, status: Callable[[], dict[str, object]]) -> None:
        self._status = status

    async def open(self, host: str, port: int) -> Server:
        """Serve on an address."""
        return await serve(_hang_up, host, port, process_request=self._answer, logger=quiet, server_header=None)

    def _answer(self, _: ServerConnection, request: Request) -> Response | None:
        path = urlsplit(request.path).path
        if not _is_own_host(request):
            return answer(http.HTTPStatus.FORBIDDEN, JSON, b'{"detail":"ask for this by its address"}')
        if path == "/health":
            return answer(http.HTTPStatus.OK, JSON, b'{"status":"ok"}')
        if path == "/":
            return answer(http.HTTPStatus.OK, JSON, msgspec.json.format(msgspec.json.encode(self._status())))
        return answer(http.HTTPStatus.NOT_FOUND, JSON, b'{"detail":"there is nothing here"}')


def answer(status: http.HTTPStatus, media_type: str, body: bytes) -> Response:
    """Write an HTTP response."""
    headers = Headers(
        [
            ("content-type", media_type),
            ("content-length", str(len(body))),
            ("connection", "close"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ]
    )
    return Response(status.value, status.phrase, headers, body)


async def _hang_up(socket: ServerConnection) -> None:
    await socket.close()


def _is_own_host(request: Request) -> bool:
    """Whether we were asked for by address: a name that somebody else made point here is not ours."""
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_same_origin(request: Request) -> bool:
    """Whether no browser asks, or one that shows our own page."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")
