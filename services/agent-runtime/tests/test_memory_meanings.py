"""Memory by meanings: an extra that a provider's model gives, and that memory does well without."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from runtime_door import Door

KEY = "sk-embedding-key"
CONCEPTS = {"car": 0, "automobile": 0, "vehicle": 0, "apple": 1, "fruit": 1, "orchard": 1}


class EmbeddingsDouble:
    """A provider that knows two things: cars and fruit. Strict about how it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = next(line for line in head.splitlines() if line.startswith("content-length:")).partition(":")[2]
            body = json.loads(await reader.readexactly(int(length)))
            assert head.startswith("post /v1/embeddings http/1.1")
            assert f"authorization: bearer {KEY}" in head
            assert body.keys() == {"model", "input", "encoding_format"}
            assert body["model"] == "toy-embedding"
            self.asked.append(body["input"])
            content = self.answers.pop(0) if self.answers else self._embedding(body["input"])
            writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(content)}\r\nconnection: close\r\n\r\n".encode())
            writer.write(content)
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    def _embedding(self, text: str) -> bytes:
        vector = [0.1, 0.1, 1.0]
        for word in text.lower().split():
            if word in CONCEPTS:
                vector[CONCEPTS[word]] += 3
        return json.dumps({"object": "list", "data": [{"index": 0, "embedding": vector}]}).encode()


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[EmbeddingsDouble]:
    double = EmbeddingsDouble()
    listening = await asyncio.start_server(double.serve, "127.0.0.1", 0)
    double.port = listening.sockets[0].getsockname()[1]
    yield double
    listening.close()


@pytest_asyncio.fixture
async def door(open_door: Any, provider: EmbeddingsDouble) -> Door:
    return await open_door(
        AGENT_RUNTIME_EMBEDDINGS="toy/toy-embedding", SHOAL_OUTGOING_ALLOWED=f"127.0.0.1:{provider.port}"
    )


async def configure(door: Door, provider: EmbeddingsDouble) -> None:
    config = (await door.admin.get("/api/config")).json()
    config["providers"] = {"toy": {"api_base": f"http://127.0.0.1:{provider.port}/v1", "api_key": KEY}}
    assert (await door.admin.put("/api/config", json=config)).status_code == 200


async def keep(door: Door, key: str, value: str) -> None:
    assert (await door.alice.post("/api/memory", json={"key": key, "value": value})).status_code == 200


async def search(door: Door, asked: str, **more: Any) -> dict[str, float]:
    answer = await door.alice.get("/api/memory/search", params={"q": asked, **more})
    assert answer.status_code == 200, answer.text
    return {found["key"]: found["similarity"] for found in answer.json()}


async def test_texts_that_mean_the_same_are_found_below_those_that_say_it(
    door: Door, provider: EmbeddingsDouble
) -> None:
    await configure(door, provider)
    await keep(door, "garage", "The automobile stands outside")
    await keep(door, "basket", "The orchard gave much")
    found = await search(door, "vehicle")
    assert 0.4 <= found["garage"] < 0.8
    assert found["basket"] < 0.3
    assert (await search(door, "automobile"))["garage"] >= 0.8
    assert (await search(door, "vehicle", threshold=0.3)).keys() == {"garage"}
    assert provider.asked[0] == "garage The automobile stands outside"


async def test_without_a_key_or_an_answer_memory_goes_by_words(door: Door, provider: EmbeddingsDouble) -> None:
    await keep(door, "before", "automobile")
    assert provider.asked == []
    await configure(door, provider)
    provider.answers = [b"no json", b'{"data": []}', b'{"data": [{"embedding": [0, 0]}]}', b"x" * 600_000]
    await keep(door, "garage", "The automobile stands outside")
    for _ in range(3):
        assert (await search(door, "automobile"))["garage"] >= 0.8
    assert len(provider.asked) == 4
    assert await search(door, "vehicle") == {}
    await keep(door, "garage", "The automobile stands outside")
    assert (await search(door, "vehicle")).keys() == {"garage"}
