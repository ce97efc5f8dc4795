"""Requests of the providers' libraries, sent by our own transport that cannot be sent inwards.

The libraries of providers speak httpx2; the transport whose connections are judged speaks httpx. Nothing but the form
of requests, answers and errors differs.
"""

import contextlib
from collections.abc import AsyncIterator, Iterator

import httpx
import httpx2

from shoal.outgoing import OutgoingRefusedError

MOST_BYTES = 32 * 1024 * 1024
"""What an answer may have on its way; the libraries keep what they cannot make a piece of yet."""

_ERRORS: tuple[tuple[type[httpx.HTTPError], type[httpx2.TransportError]], ...] = (
    (httpx.ConnectTimeout, httpx2.ConnectTimeout),
    (httpx.TimeoutException, httpx2.ReadTimeout),
    (httpx.ConnectError, httpx2.ConnectError),
    (httpx.RemoteProtocolError, httpx2.RemoteProtocolError),
    (httpx.HTTPError, httpx2.ReadError),
)


class Bridge(httpx2.AsyncBaseTransport):
    """A transport of httpx2 over one of httpx, which it does not own."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request."""
        headers = [(name, value) for name, value in request.headers.raw if name.lower() != b"accept-encoding"]
        headers.append((b"accept-encoding", b"identity"))
        sent = httpx.Request(request.method, str(request.url), headers=headers, content=await request.aread())
        timeouts = request.extensions.get("timeout")
        if timeouts is not None:
            sent.extensions = {**sent.extensions, "timeout": timeouts}
        with _translated(request):
            answer = await self._transport.handle_async_request(sent)
        if answer.headers.get("content-encoding", "identity") != "identity":  # little that would become much
            await answer.aclose()
            raise httpx2.RemoteProtocolError("the answer is packed, though plain text was asked for", request=request)
        return httpx2.Response(
            answer.status_code, headers=answer.headers.raw, stream=_Body(answer, request), request=request
        )


class _Body(httpx2.AsyncByteStream):
    """One way through an answer: whoever begins again goes on where reading stopped.

    The libraries read past the last event so, to the end of the answer, without which its connection is not used again.
    """

    def __init__(self, answer: httpx.Response, request: httpx2.Request) -> None:
        self._answer = answer
        self._request = request
        self._pieces = aiter(answer.stream)  # type: ignore[arg-type]  # of an asynchronous transport
        self._left = MOST_BYTES

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        with _translated(self._request):
            piece = await anext(self._pieces)
        self._left -= len(piece)
        if self._left < 0:
            raise httpx2.ReadError(f"an answer of more than {MOST_BYTES} bytes", request=self._request)
        return piece

    async def aclose(self) -> None:
        await self._answer.aclose()


@contextlib.contextmanager
def _translated(request: httpx2.Request) -> Iterator[None]:
    try:
        yield
    except OutgoingRefusedError as error:
        raise httpx2.UnsupportedProtocol(error.message, request=request) from error
    except httpx.HTTPError as error:
        kind = next(ours for theirs, ours in _ERRORS if isinstance(error, theirs))
        raise kind(str(error), request=request) from error
