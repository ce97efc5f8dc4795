"""Many agents on raw sockets, straight at the ingest process: the door behind the gateway's door."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence

from stack import PairedAgent, Stack
from stack.sockets import stamp

from bench.wire import Wire, frame
from shoal.identity import HEADER, Principal

PAIRING_AT_ONCE = 8
PING = frame(b'{"type":"ping"}')
UNLIMITED = {"TELEMETRY_INGEST_MESSAGES_PER_SECOND": "1000000", "TELEMETRY_INGEST_SOCKETS_PER_USER": "1000"}


class RawAgent:
    """One agent's socket; counts pongs, each of which says that everything before it is stored."""

    def __init__(self, agent: PairedAgent) -> None:
        self.agent = agent
        self.pongs = 0
        self.refused: list[bytes] = []
        self.wire: Wire
        self._news = asyncio.Event()

    def hear(self, message: bytes) -> None:
        """Take what the server says."""
        if b'"pong"' in message:
            self.pongs += 1
            self._news.set()
        elif b'"auth_success"' in message:
            self._news.set()
        elif b"error" in message:
            self.refused.append(message)

    async def open(self, url: str, identity: str | None = None) -> None:
        """Connect and authenticate by the first frame; with an identity, as the gateway would for somebody."""
        self.wire = await Wire.open(url, self.hear, {HEADER.decode(): identity} if identity else None)
        await self.wire.write(frame(json.dumps({"type": "auth", "token": self.agent.token}).encode()))
        async with asyncio.timeout(20):
            await self._news.wait()
        self._news.clear()

    async def pong(self, number: int) -> None:
        """Wait for the answer to so many pings."""
        while self.pongs < number:
            self._news.clear()
            if self.pongs < number:
                async with asyncio.timeout(30):
                    await self._news.wait()

    def metrics(self, **told: object) -> bytes:
        """Write the contract's own example of a metrics frame, as it goes on the wire."""
        data = {
            "messages_1h": 142, "messages_24h": 2847, "active_sessions": 3, "avg_response_ms": 850,
            "memory_mb": 256, "cpu_percent": 12, "uptime_s": 86400, **told,
        }  # fmt: skip
        body = {"type": "metrics", "agent_id": self.agent.agent_id, "timestamp": stamp(), "data": data}
        return frame(json.dumps(body).encode())


async def paired(stack: Stack, count: int) -> list[PairedAgent]:
    """Pair many agents."""
    gate = asyncio.Semaphore(PAIRING_AT_ONCE)

    async def pair() -> PairedAgent:
        async with gate:
            return await stack.admin.pair()

    return list(await asyncio.gather(*(pair() for _ in range(count))))


@contextlib.asynccontextmanager
async def connected(stack: Stack, agents: Sequence[PairedAgent]) -> AsyncIterator[list[RawAgent]]:
    """Connect them to the ingest process while the block runs."""
    url = f"ws{stack.direct_url('telemetry-ingest').removeprefix('http')}/telemetry"
    raw = [RawAgent(agent) for agent in agents]
    issuer = stack.issuer("gateway")
    try:
        for one in raw:
            await one.open(url, issuer.issue(Principal(source="127.0.0.1"), audience="telemetry-ingest"))
        yield raw
        for one in raw:
            assert not one.refused, one.refused[0]
            assert not one.wire.closed.done(), one.wire.closed.result()
    finally:
        for one in raw:
            if hasattr(one, "wire"):
                one.wire.close()
