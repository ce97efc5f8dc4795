"""What the runtime itself takes of a turn, and how late a provider's token is at whoever follows."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from statistics import median
from typing import Any

from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import ModelMessage, ModelRequest, UserPromptPart
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from stack import Account, Stack
from stack.figures import percentile

from bench.caller import Caller
from bench.rows import Row, Scale, bench_stack
from shoal.testing.suite import eventually

MAX_TURN_MS, MAX_RELAY_MS = 10.0, 2.0
ROUNDS, TURNS, TOKENS, WARM = 5, 50, 200, 30
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Provider:
    """A provider that answers at once with the time of day, as often as it is told to, and otherwise with a word."""

    def __init__(self) -> None:
        self.tokens = 1
        self.pause_s = 0.0
        self.port = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["Provider"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
                writer.write(HEAD)
                for _ in range(self.tokens):
                    write(writer, {"content": f"{time.time():.6f} "})
                    await writer.drain()
                    await asyncio.sleep(self.pause_s)
                write(writer, {}, "stop")
                writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
                await writer.drain()


def write(writer: asyncio.StreamWriter, delta: dict[str, Any], finish: str | None = None) -> None:
    """Write one piece of an answer."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    told = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    piece = f"data: {json.dumps(told)}\n\n".encode()
    writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")


async def run(scale: Scale) -> list[Row]:
    """Time turns of models that answer at once, and tokens on their way."""
    async with contextlib.AsyncExitStack() as opened:
        provider = await opened.enter_async_context(Provider().serving())
        allowed = f"127.0.0.1:{provider.port}"
        stack = await opened.enter_async_context(bench_stack(SHOAL_OUTGOING_ALLOWED=allowed))
        owner = await acquainted(stack, provider)
        caller = await Caller.open(stack.url, key=await owner.create_key())
        general, cloud = [await begin(owner, caller, agent) for agent in ("agent_general", "agent_cloud")]
        rules, turns, alone, library = list[float](), list[float](), list[float](), list[float]()
        for _ in range(ROUNDS):  # in turn: the pace of a machine that is shared changes within seconds
            rules += await timed(caller, general, scale)
            turns += await timed(caller, cloud, scale)
            alone += await by_itself(provider)
            library += await by_library(provider)
        ages = await relayed(owner, cloud, provider)
    own, relay = median(turns) - median(alone), percentile(ages, 0.5) * 1000
    return [
        Row(
            "runtime: a turn of the offline model, through the gateway, p50",
            f"{median(rules):.1f} ms",
            f"p99 {percentile(rules, 0.99):.1f} ms",
            None,
            f"<= {MAX_TURN_MS:.0f} ms",
            median(rules) <= MAX_TURN_MS,
        ),
        Row(
            "runtime: own time of a turn with a provider that answers at once, p50",
            f"{own:.1f} ms",
            f"p99 {percentile(turns, 0.99):.1f} ms; the provider itself {median(alone):.1f} ms, "
            f"asked by pydantic-ai alone {median(library):.1f} ms",
            None,
            f"<= {MAX_TURN_MS:.0f} ms",
            own <= MAX_TURN_MS,
        ),
        Row(
            "runtime: a provider's token at a follower of the run, p50",
            f"{relay:.2f} ms",
            f"p99 {percentile(ages, 0.99) * 1000:.1f} ms",
            None,
            f"<= {MAX_RELAY_MS:.0f} ms",
            relay <= MAX_RELAY_MS,
        ),
    ]


async def acquainted(stack: Stack, provider: Provider) -> Account:
    """Give the first account an agent on the provider."""
    owner = stack.admin

    async def has_an_agent() -> bool:
        return bool(await owner.get("/api/agents"))

    await eventually(has_an_agent, within_s=20)
    config = await owner.get("/api/config")
    config["providers"]["openai"] = {"api_base": provider.base, "enabled": True, "api_key": "key"}
    assert (await owner.client.put("/api/config", json=config)).status_code == 200
    body = {"id": "agent_cloud", "name": "cloud", "model": "openai/m"}
    assert (await owner.client.post("/api/agents", json=body)).status_code == 201
    return owner


async def begin(owner: Account, caller: Caller, agent_id: str) -> str:
    """Begin a session, and have what is made at the first turn made."""
    key = str((await owner.client.post("/api/sessions", json={"agent_id": agent_id})).json()["key"])
    for _ in range(WARM):
        await say(caller, key)
    return key


async def say(caller: Caller, key: str) -> float:
    """Have one turn; returns how many milliseconds it took."""
    return (await caller.ask("POST", f"/api/sessions/{key}/messages", b'{"content":"Hello"}')).took_ms


async def timed(caller: Caller, key: str, scale: Scale) -> list[float]:
    """Time turns, one after the other."""
    return [await say(caller, key) for _ in range(TURNS // 3 if scale.quick else TURNS)]


async def by_itself(provider: Provider) -> list[float]:
    """Tell how many milliseconds the provider takes when it is asked directly."""
    caller = await Caller.open(provider.base)
    return [(await caller.ask("POST", "/chat/completions", b"{}")).took_ms for _ in range(TURNS)]


async def by_library(provider: Provider) -> list[float]:
    """Tell how many milliseconds pydantic-ai takes to ask it, with nothing around."""
    model = OpenAIChatModel("m", provider=OpenAIProvider(base_url=provider.base, api_key="key"))
    asked: list[ModelMessage] = [ModelRequest(parts=[UserPromptPart("Hello")])]
    took = []
    for _ in range(TURNS):
        started = time.perf_counter()
        async with model_request_stream(model, asked) as answer:
            async for _ in answer:
                pass
        took.append((time.perf_counter() - started) * 1000)
    return took


async def relayed(owner: Account, key: str, provider: Provider) -> list[float]:
    """Tell how old tokens are when a follower has them."""
    provider.tokens, provider.pause_s = TOKENS, 0.01
    run_id = (await owner.client.post(f"/api/sessions/{key}/runs", json={"content": "Hello"})).json()["id"]
    async with owner.client.stream("GET", f"/api/runs/{run_id}/stream", timeout=30) as answer:
        return [
            time.time() - float(json.loads(line[6:])["content"])
            async for line in answer.aiter_lines()
            if line.startswith("data: ") and '"type":"token"' in line
        ]
