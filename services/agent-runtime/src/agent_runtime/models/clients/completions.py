"""Chat completions: pydantic-ai says what is asked and reads what is answered, and this carries it there and back.

It stands where pydantic-ai calls openai's client, and does that call alone, which in openai's own takes longer than all
else that a turn does with its provider: that one follows messages and tools along their type hints, copies its options
for each try, and makes every piece of an answer field by field. Ours are JSON already, tries are ours, and pieces are
read by pydantic's compiled reader; only one of another shape than is published is made as openai's client makes it.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from functools import cached_property
from typing import Any, Self

import httpx2
import msgspec
import openai
from openai import AsyncOpenAI, Omit
from openai.resources.chat import AsyncChat, AsyncCompletions
from openai.types.chat import ChatCompletionChunk
from pydantic import ValidationError

_DONE = "[DONE]"
_UNSENT = "none"
"""A key for openai's client, which wants one."""
_REST_S = 0.1
"""How long the end of an answer may take after it was said to be over; its connection is used again only then."""
_MAX_REFUSAL = 64 * 1024
"""How many bytes of a refusal are read."""
_MAX_ODD = 64 * 1024
"""How long a piece of another shape than is published may be: each character takes 3 µs, for which all others wait."""


class StreamingOpenAI(AsyncOpenAI):
    """openai's client, as far as pydantic-ai streams chat completions by it.

    Args:
        http: What openai's client is made with; nothing is sent by it, but its timeouts count.
        transport: Sends, without a client around it.
        api_key: The provider's key; empty for one that wants none.
        base_url: Where the provider's API begins.
    """

    def __init__(
        self, http: httpx2.AsyncClient, transport: httpx2.AsyncBaseTransport, *, api_key: str, base_url: str
    ) -> None:
        super().__init__(api_key=api_key or _UNSENT, base_url=base_url, http_client=http, max_retries=0)
        self.transport = transport
        self.extensions = {"timeout": http.timeout.as_dict()}

    @cached_property
    def chat(self) -> AsyncChat:
        """What is asked in a conversation."""
        return _Chat(self)


class _Chat(AsyncChat):
    @cached_property
    def completions(self) -> AsyncCompletions:
        return _Completions(self._client)


class _Completions(AsyncCompletions):
    _client: StreamingOpenAI

    async def create(  # type: ignore[override]  # all that is asked for is passed on as it is
        self,
        *,
        extra_headers: Mapping[str, str],
        extra_body: Mapping[str, Any] | None,
        timeout: object,  # noqa: ARG002, ASYNC109 - openai's own signature; those of the HTTP client count
        **asked: Any,
    ) -> "Chunks":
        body = {name: value for name, value in asked.items() if not isinstance(value, Omit)} | dict(extra_body or {})
        headers, content = {**self._headers, **extra_headers}, msgspec.json.encode(body)
        client = self._client
        request = httpx2.Request("POST", self._url, headers=headers, content=content, extensions=client.extensions)
        answer = await client.transport.handle_async_request(request)
        answer.request = request
        if not answer.is_success:
            raise await _refusal(answer)
        return Chunks(answer)

    @cached_property
    def _url(self) -> httpx2.URL:
        return httpx2.URL(f"{str(self._client.base_url).rstrip('/')}/chat/completions")

    @cached_property
    def _headers(self) -> Mapping[str, str]:
        told = {"accept": "text/event-stream", "content-type": "application/json"}
        key = self._client.api_key
        return told if key == _UNSENT else {"authorization": f"Bearer {key}", **told}


class Chunks:
    """The pieces of an answer, as they come; it is passed through once, and closed."""

    def __init__(self, answer: httpx2.Response) -> None:
        self._answer = answer

    async def __aenter__(self) -> Self:
        """Hold the connection."""
        return self

    async def __aexit__(self, *error: object) -> None:
        """Let go of the connection."""
        await self.close()

    async def close(self) -> None:
        """Read no more."""
        await self._answer.aclose()

    async def __aiter__(self) -> AsyncIterator[ChatCompletionChunk]:
        """Give the pieces up to the one that says that there are no more.

        Raises:
            openai.APIError: The provider tells of an error within its answer.
            ValueError: A piece cannot be read.
            httpx2.HTTPError: The answer broke off, or is no stream of events.
        """
        is_over, last = False, None
        self._answer.encoding = "utf-8-sig"  # that of events, whatever is said of it
        events = aiter(httpx2.EventSource(self._answer))
        async for event in events:
            if not event.data:  # a sign of life
                continue
            if event.data.startswith(_DONE):
                is_over = True
                await _finish(events)
                break
            chunk = self._chunk(event.data)
            is_over = is_over or any(choice.finish_reason for choice in chunk.choices or ())
            if chunk.usage is not None:  # some tell with each piece what all took so far
                last, chunk.usage = chunk.model_copy(update={"choices": []}), None
            yield chunk
        if last is not None:
            yield last
        if not is_over:  # a connection that ends is all that some servers' framing shows of one that is cut
            raise httpx2.RemoteProtocolError("the answer does not say that it is over", request=self._answer.request)

    def _chunk(self, told: str) -> ChatCompletionChunk:
        try:
            chunk = ChatCompletionChunk.model_validate_json(told)
        except ValidationError:
            if len(told) > _MAX_ODD:
                raise
            chunk = ChatCompletionChunk.construct(**json.loads(told))
        if error := (chunk.model_extra or {}).get("error"):
            message = error.get("message") if isinstance(error, dict) else None
            raise openai.APIError(str(message or error), request=self._answer.request, body=error)
        return chunk


async def _finish(events: AsyncIterator[object]) -> None:
    """Read to the end of an answer of which nothing more is wanted."""
    with contextlib.suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(_REST_S):
            async for _ in events:
                pass


async def _refusal(answer: httpx2.Response) -> openai.APIStatusError:
    """Make of a refusal what pydantic-ai understands: its status, its headers, and what it says of the error."""
    begun = bytearray()
    try:
        async for piece in answer.aiter_raw():
            begun += piece[: _MAX_REFUSAL - len(begun)]
            if len(begun) == _MAX_REFUSAL:
                break
    finally:
        await answer.aclose()
    told = begun.decode(errors="replace")
    body: object = told
    with contextlib.suppress(ValueError, RecursionError):
        body = json.loads(told)
    if isinstance(body, dict):
        body = body.get("error", body)
    return openai.APIStatusError(f"status {answer.status_code}", response=answer, body=body)
