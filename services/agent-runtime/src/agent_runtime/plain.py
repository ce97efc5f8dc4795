"""What the libraries of providers send and get: answers as plain text, and no more of one than an answer may have."""

from collections.abc import AsyncIterable, AsyncIterator
from typing import cast

import httpx2

from shoal.outgoing import OutgoingRefusedError

MAX_BYTES = 32 * 1024 * 1024
"""What an answer may have on its way; the libraries keep what they cannot make a piece of yet."""


class PlainTransport(httpx2.AsyncBaseTransport):
    """A transport over another one, which it does not own."""

    def __init__(self, transport: httpx2.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request."""
        request.headers["accept-encoding"] = "identity"
        try:
            answer = await self._transport.handle_async_request(request)
        except OutgoingRefusedError as error:
            raise httpx2.UnsupportedProtocol(error.message, request=request) from error
        if answer.headers.get("content-encoding", "identity") != "identity":  # little that would become much
            await answer.aclose()
            raise httpx2.RemoteProtocolError("the answer is packed, though plain text was asked for", request=request)
        answer.stream = _Body(cast("httpx2.AsyncByteStream", answer.stream), request)
        return answer


class _Body(httpx2.AsyncByteStream):
    """One way through an answer: whoever begins again goes on where reading stopped.

    The libraries read past the last event so, to the end of the answer, without which its connection is not used again.
    """

    def __init__(self, stream: httpx2.AsyncByteStream, request: httpx2.Request) -> None:
        self._stream = stream
        self._request = request
        self._pieces = aiter(cast("AsyncIterable[bytes]", stream))
        self._left = MAX_BYTES

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await anext(self._pieces)
        self._left -= len(piece)
        if self._left < 0:
            raise httpx2.ReadError(f"an answer of more than {MAX_BYTES} bytes", request=self._request)
        return piece

    async def aclose(self) -> None:
        await self._stream.aclose()
