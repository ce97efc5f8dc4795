"""A provider of speech, as strict as the real ones, over real HTTP."""

import asyncio
from typing import Any, ClassVar, NamedTuple, Self

import msgspec

_FIELDS = {
    "/audio/speech": {"model", "input", "voice", "speed", "response_format"},
    "/v1/text-to-speech/Rachel": {"text", "model_id", "voice_settings"},
}


class Asked(NamedTuple):
    """What was asked of it."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class SpeechProvider:
    """Answers the two ways of asking that there are; whatever else is asked is 404 or 422."""

    SOUND: ClassVar[bytes] = b"ID3" + bytes(range(256)) * 16

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.status = 200
        self.media_type = "audio/mpeg"
        self.url = ""
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = msgspec.json.decode(await reader.readexactly(int(headers["content-length"])))
        status, answer = self.status, self.SOUND
        if method != "POST" or path not in _FIELDS:
            status, answer = 404, b"{}"
        elif set(body) != _FIELDS[path]:
            status, answer = 422, b"{}"
        self.asked.append(Asked(path, headers, body))
        writer.write(
            b"HTTP/1.1 %d X\r\ncontent-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (status, self.media_type.encode(), len(answer), answer)
        )
        await writer.drain()
        writer.close()
