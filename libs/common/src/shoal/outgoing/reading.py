"""Reading what strangers answer, within bounds."""

import asyncio
from collections.abc import Mapping
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
    async with asyncio.timeout(deadline_s), client.stream(method, url, headers=wanted, **sent) as answer:
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise AnswerTooLargeError(f"{answer.url.host} packed its answer")
        content = bytearray()
        async for piece in answer.aiter_raw():
            content += piece
            if len(content) > max_bytes:
                raise AnswerTooLargeError(f"more than {max_bytes} bytes from {answer.url.host}")
    return httpx2.Response(answer.status_code, headers=answer.headers, content=bytes(content), request=answer.request)
