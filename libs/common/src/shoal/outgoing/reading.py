"""Reading what strangers answer, within bounds."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2


class AnswerTooLargeError(Exception):
    """An answer from outside is longer than the caller takes, or is packed though plain text was asked for."""


async def read(
    client: httpx2.AsyncClient,
    url: str,
    *,
    max_bytes: int,
    deadline_s: float,
    headers: Mapping[str, str] | None = None,
    body: Any = None,
) -> httpx2.Response:
    """Get something whole, however slowly and at whatever length it comes; with a body, by posting that as JSON.

    Raises:
        AnswerTooLargeError: It is longer than `max_bytes`, or compressed.
        TimeoutError: It was not all there within `deadline_s` seconds.
        OutgoingRefusedError: The address may not be called.
        httpx2.HTTPError: It could not be had.
    """
    wanted = {"accept-encoding": "identity", **(headers or {})}
    method, sent = ("GET", {}) if body is None else ("POST", {"json": body})
    request = client.build_request(method, url, headers=wanted, **sent)
    async with asyncio.timeout(deadline_s), _answer(client, request) as answer:
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise AnswerTooLargeError(f"{answer.url.host} packed its answer")
        content = bytearray()
        async for piece in answer.aiter_raw():
            content += piece
            if len(content) > max_bytes:
                raise AnswerTooLargeError(f"more than {max_bytes} bytes from {answer.url.host}")
    return httpx2.Response(answer.status_code, headers=answer.headers, content=bytes(content), request=answer.request)


@contextlib.asynccontextmanager
async def _answer(client: httpx2.AsyncClient, request: httpx2.Request) -> AsyncIterator[httpx2.Response]:
    """Open an answer where the client's redirects lead; httpx2 itself would read each one whole, at whatever length."""
    for _ in range(1 + client.max_redirects):
        answer = await client.send(request, stream=True, follow_redirects=False)
        try:
            if not client.follow_redirects or answer.next_request is None:
                yield answer
                return
            request = answer.next_request
        finally:
            await answer.aclose()
    raise httpx2.TooManyRedirects(f"more than {client.max_redirects} redirects", request=request)
