"""Agents that stream through trouble, and keep account of what the server said it has stored."""

import asyncio
import random
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from websockets.exceptions import InvalidHandshake

from stack.accounts import PairedAgent
from stack.sockets import ClosedError, TelemetrySocket, metrics_frame, stamp

TICK_S = 0.1
RETRY_S = (0.05, 0.25)
FINAL = {4400, 4401, 4403, 4409, 4410}
"""Close codes by which the server means it; after any other an agent comes back."""


class Sender:
    """An agent that is connected whenever it can be.

    Attributes:
        away: How many seconds each interruption lasted, from the loss of a socket to the next authentication.
        refusals: Close codes that say that the agent is not welcome.
    """

    def __init__(self, agent: PairedAgent, *, rate: int) -> None:
        self.agent = agent
        self.rate = rate
        self.away: list[float] = []
        self.refusals: list[int] = []
        self.connections = 0
        self.is_connected = False
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Send nothing new; `run` returns once everything sent is acknowledged."""
        self._stopping.set()

    async def run(self) -> None:
        """Stream until told to stop and everything is stored."""
        lost_at: float | None = None
        while True:
            try:
                async with self.agent.connect(epoch=self._epoch()) as socket:
                    self.connections += 1
                    self.is_connected = True
                    if lost_at is not None:
                        self.away.append(time.monotonic() - lost_at)
                    lost_at = None
                    await self._stream(socket)
                    return
            except ClosedError as error:
                if error.code in FINAL:
                    self.refusals.append(error.code)
            except (OSError, TimeoutError, InvalidHandshake, AssertionError):
                pass
            finally:
                self.is_connected = False
            lost_at = lost_at or time.monotonic()
            await asyncio.sleep(random.uniform(*RETRY_S))

    def _epoch(self) -> str | None:
        return None

    async def _stream(self, socket: TelemetrySocket) -> None:
        raise NotImplementedError


class NumberingSender(Sender):
    """Numbers its frames, and sends again whatever was not acknowledged when a socket is lost."""

    def __init__(self, agent: PairedAgent, *, rate: int) -> None:
        super().__init__(agent, rate=rate)
        self.epoch = f"life-{uuid4().hex[:12]}"
        self.sent = 0
        self.acked = 0
        self._unacked: deque[dict[str, Any]] = deque()
        self._began = datetime.now(UTC)

    async def _stream(self, socket: TelemetrySocket) -> None:
        self._forget(socket)
        await socket.send(*self._unacked)
        while not self._stopping.is_set():
            await socket.send(*(self._next() for _ in range(max(1, int(self.rate * TICK_S)))))
            self._forget(socket)
            await asyncio.sleep(TICK_S)
            if socket.closed is not None:
                raise socket.closed
        await socket.until_acked(self.sent, within_s=60)
        self._forget(socket)

    def _epoch(self) -> str:
        return self.epoch

    def _next(self) -> dict[str, Any]:
        self.sent += 1
        age = (datetime.now(UTC) - self._began) // timedelta(seconds=1)
        told = {"messages_total": self.sent, "uptime_s": age, "response_ms": [self.sent % 977 + 1], "memory_mb": 100}
        frame = metrics_frame(self.agent.agent_id, seq=self.sent, **told)
        self._unacked.append(frame)
        return frame

    def _forget(self, socket: TelemetrySocket) -> None:
        self.acked = max(self.acked, socket.acked)
        while self._unacked and self._unacked[0]["seq"] <= self.acked:
            self._unacked.popleft()


class PingingSender(Sender):
    """Speaks the contract alone: no numbers; what was sent before an answered ping is stored.

    Each connection's frames are errors of a skill named after it, so that they can be counted apart.
    """

    def __init__(self, agent: PairedAgent, *, rate: int) -> None:
        super().__init__(agent, rate=rate)
        self.sent: dict[str, int] = {}
        self.acked: dict[str, int] = {}

    async def _stream(self, socket: TelemetrySocket) -> None:
        life = f"life-{self.connections}"
        self.sent[life] = self.acked[life] = 0
        while not self._stopping.is_set():
            for _ in range(max(1, int(self.rate * TICK_S))):
                self.sent[life] += 1
                await socket.send(self._frame(life))
            await self._check(socket, life)
            await asyncio.sleep(TICK_S)
        await self._check(socket, life)

    async def _check(self, socket: TelemetrySocket, life: str) -> None:
        told = self.sent[life]
        await socket.barrier(within_s=60)
        self.acked[life] = told

    def _frame(self, life: str) -> dict[str, Any]:
        failure = {"error_type": "skill_failure", "skill": life, "message": "Model timeout"}
        return {"type": "error", "agent_id": self.agent.agent_id, "timestamp": stamp(), "data": failure}
