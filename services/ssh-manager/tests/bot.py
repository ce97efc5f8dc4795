"""An instance with pages of its own: an SSH server that leads its ports 3000 and 8080 to them."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import asyncssh
import msgspec

from shoal.http.asgi import Message, Receive, Scope, Send
from shoal.http.server import Server, make_server, until_listening
from shoal.testing.suite import eventually, free_port

LOOPBACK = "127.0.0.1"
MIB = 1024 * 1024


class Bot:
    """Looks like an `Sshd` to whoever connects; its pages answer what they were asked, and misbehave when told to."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.host, self.port, self.user = LOOPBACK, free_port(), "shoal"
        self.ways: dict[int, int | None] = {}
        """From a port as tunnels name it to where that is; None: nobody is there."""
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_public_key = self._key.export_public_key("openssh").decode().strip()
        self._admitted: set[bytes] = set()
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self._pages: list[tuple[Server, asyncio.Task[None]]] = []
        self.gone = 0
        """How many of those who asked for something endless hung up."""

    def admit(self, public_key: str) -> None:
        self._admitted.add(asyncssh.import_public_key(public_key).public_data)

    async def start(self) -> None:
        async def page(scope: Scope, receive: Receive, send: Send) -> None:  # a bound method is another ASGI to uvicorn
            await self._page(scope, receive, send)

        for port in (3000, 8080):
            server = make_server(page, host=LOOPBACK, port=0, drain_timeout_s=1, max_frame_bytes=8 * MIB)
            task = asyncio.create_task(server.serve())
            self.ways[port] = (await until_listening(server, task))[1]
            self._pages.append((server, task))
        await self.listen()

    async def listen(self) -> None:
        bot = self

        class Gatekeeper(asyncssh.SSHServer):
            def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
                self._own = conn
                bot._connections.add(conn)

            def connection_lost(self, exc: Exception | None) -> None:
                bot._connections.discard(self._own)

            def begin_auth(self, username: str) -> bool:
                return True

            def public_key_auth_supported(self) -> bool:
                return True

            def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
                return key.public_data in bot._admitted

            def connection_requested(self, host: str, port: int, *_: Any) -> Any:
                way = bot.ways.get(port) if host == "localhost" else None
                if way is None:
                    raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "Connection refused")
                return self._own.forward_connection(LOOPBACK, way)

        self._acceptor = await asyncssh.listen(
            *(self.host, self.port),
            server_factory=Gatekeeper,
            server_host_keys=[self._key],
            process_factory=_run,
            encoding=None,
            config=None,
        )

    async def cut(self) -> None:
        """End every connection, and take no more."""
        assert self._acceptor is not None
        self._acceptor.close()
        for connection in list(self._connections):
            connection.abort()
        await self._acceptor.wait_closed()

    async def close(self) -> None:
        await self.cut()
        for server, task in self._pages:
            server.should_exit = True
            await task

    async def until_gone(self, count: int) -> None:
        await eventually(lambda: self.gone >= count)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        name = scope["path"].rpartition("/")[2]
        body, message = 0, await receive()
        while message.get("more_body"):
            body += len(message["body"])
            message = await receive()
        body += len(message.get("body", b""))
        if name == "endless":
            await self._go_on(receive, send)
            return
        if name == "large":
            await _start(send, 200, [(b"content-length", b"%d" % (64 * MIB))])
            for _ in range(64):
                await send({"type": "http.response.body", "body": b"x" * MIB, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            return
        headers = [(b"content-type", b"application/json"), (b"set-cookie", b"shoal_session=stolen; Path=/")]
        headers += [(b"clear-site-data", b'"cookies"'), (b"www-authenticate", b"Basic"), (b"x-bot", b"1")]
        headers += [(b"access-control-allow-origin", b"https://evil.example")]
        if name == "elsewhere":
            headers += [(b"location", scope["query_string"] or b"/login?next=%2F")]
        await _start(send, 302 if name == "elsewhere" else 200, headers)
        told = {
            "method": scope["method"],
            "target": (scope["raw_path"] + b"?" + scope["query_string"]).decode().rstrip("?"),
            "headers": {key.decode(): value.decode("latin-1") for key, value in scope["headers"]},
            "body": body,
        }
        await send({"type": "http.response.body", "body": msgspec.json.encode(told)})

    async def _go_on(self, receive: Receive, send: Send) -> None:
        await _start(send, 200, [(b"content-type", b"text/event-stream")])
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone += 1

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if scope["path"] == "/refused":
            await send({"type": "websocket.http.response.start", "status": 418, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b"no"})
            return
        await send({"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)})
        told = {key.decode(): value.decode("latin-1") for key, value in scope["headers"]}
        told["target"] = (scope["raw_path"] + b"?" + scope["query_string"]).decode().rstrip("?")
        await send({"type": "websocket.send", "text": msgspec.json.encode(told).decode()})
        while (message := await receive())["type"] == "websocket.receive":
            if message.get("text", "") and message["text"].startswith("close "):
                await send({"type": "websocket.close", "code": int(message["text"][6:]), "reason": "as asked"})
                return
            await send({"type": "websocket.send", **_said(message)})
        self.said = message
        self.gone += 1


def _said(message: Message) -> dict[str, Any]:
    return {"text": message["text"]} if message.get("text") is not None else {"bytes": message["bytes"]}


async def _start(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _run(peer: "asyncssh.SSHServerProcess[bytes]") -> None:
    pipe, none = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec("/bin/sh", "-c", peer.command or "", stdin=none, stdout=pipe)
    said, _ = await process.communicate()
    with contextlib.suppress(OSError):  # whoever asked is gone
        peer.stdout.write(said)
        peer.exit(process.returncode or 0)
