"""One socket on a terminal, from its first frame to its close."""

import asyncio
import contextlib

import msgspec

from shoal.clock import Clock
from shoal.http.asgi import Message, Receive, Send
from shoal.identity import Principal
from shoal.tasks import end
from ssh_manager.entrance import Close
from ssh_manager.terminals.domain import (
    GONE,
    MAX_MESSAGE,
    TOO_BIG,
    ClientFrame,
    ErrorFrame,
    Input,
    Pace,
    Ping,
    Pong,
    Resize,
    SessionFrame,
    Size,
    State,
)
from ssh_manager.terminals.usecases.terminal import Terminal, Viewer
from ssh_manager.terminals.usecases.terminals import Terminals

_encode = msgspec.json.Encoder().encode
_read = msgspec.json.Decoder(ClientFrame).decode


class Asked(msgspec.Struct, frozen=True):
    """What a socket's address asks for."""

    instance_id: str
    session_id: str = ""
    """The terminal to come back to; empty for a new one."""
    shell: str = ""
    size: Size = Size()


class Viewing:
    """Show terminals to sockets."""

    def __init__(self, *, terminals: Terminals, clock: Clock) -> None:
        self._terminals = terminals
        self._clock = clock

    async def hold(self, asked: Asked, receive: Receive, send: Send, *, by: Principal) -> None:
        """Show a terminal on an accepted socket until either ends; the terminal itself goes on.

        Raises:
            AppError: It cannot be shown: as `Terminals.open` and `Terminals.find` say. The socket is still open.
        """
        if asked.session_id:
            terminal = await self._terminals.find(asked.instance_id, asked.session_id, by=by)
        else:
            terminal = await self._terminals.open(asked.instance_id, shell=asked.shell, size=asked.size, by=by)
        viewer = Viewer(send, by)
        await _tell(send, SessionFrame(terminal.id, (State.ACTIVE if terminal.reason is None else State.CLOSED).value))
        attaching = asyncio.ensure_future(terminal.attach(viewer))
        reading = asyncio.ensure_future(self._read_all(terminal, viewer, receive, send))
        closed = asyncio.ensure_future(viewer.closed.wait())
        try:
            await asyncio.wait({reading, closed}, return_when=asyncio.FIRST_COMPLETED)
            if viewer.reason is not None:
                await close(send, viewer.reason)
            elif reading.done():
                reading.result()
        finally:
            viewer.close(GONE)
            await end([attaching, reading, closed])
            terminal.detach(viewer)

    async def _read_all(self, terminal: Terminal, viewer: Viewer, receive: Receive, send: Send) -> None:
        """Do what the browser asks for, no faster than it may ask, until it is gone."""
        pace = Pace()
        while (message := await receive())["type"] != "websocket.disconnect":
            if _size(message) > MAX_MESSAGE:
                viewer.close(TOO_BIG)
                return
            await self._take(terminal, message, send)
            if pause := pace.wait_s(self._clock.monotonic()):
                await asyncio.sleep(pause)

    async def _take(self, terminal: Terminal, message: Message, send: Send) -> None:
        if message.get("bytes") is not None:
            await terminal.type(message["bytes"])
            return
        try:
            frame = _read(message["text"])
        except (msgspec.DecodeError, RecursionError):
            await _tell(send, ErrorFrame("invalid_frame", "Frames are resize, input and ping, or binary."))
            return
        match frame:
            case Input(data=data):
                await terminal.type(data.encode())
            case Resize():
                terminal.resize(frame.size)
            case Ping():
                await _tell(send, Pong())


async def close(send: Send, reason: Close) -> None:
    """Close a socket, saying why."""
    with contextlib.suppress(OSError, RuntimeError):
        await send({"type": "websocket.close", "code": reason.code, "reason": reason.reason})


async def _tell(send: Send, frame: msgspec.Struct) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        await send({"type": "websocket.send", "text": _encode(frame).decode()})


def _size(message: Message) -> int:
    text = message.get("text")
    return len(message.get("bytes") or b"") if text is None else len(text)
