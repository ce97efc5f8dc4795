"""Callers with good credentials who come again and again: nobody may ever tell them that they are strangers."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
from websockets.exceptions import InvalidStatus, WebSocketException

from stack.accounts import PairedAgent
from stack.running import PASSWORD, Stack
from stack.sockets import ClosedError

EVERY_S = 0.2
HONEST = {"502", "503", "504", "1013", "1012", "1001", "1006"}
"""What may be said while something is away: it is us, come again."""


class Visitors:
    """What they were told.

    Attributes:
        outcomes: `ok`, a status or close code, or the name of a broken connection's error; by kind of visit.
        failed_at: When a visit of a kind failed last.
    """

    def __init__(self) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.failed_at: dict[str, float] = {}

    @property
    def wrong(self) -> dict[tuple[str, str], int]:
        """Every answer that was neither success nor an honest excuse."""
        return {said: n for said, n in self.outcomes.items() if said[1].isdigit() and said[1] not in HONEST}

    def total(self, outcome: str | None = None) -> int:
        """Count visits, all or of one outcome."""
        return sum(n for (_, said), n in self.outcomes.items() if outcome in {None, said})

    @property
    def told(self) -> str:
        """How often what was said."""
        said = Counter[str]()
        for (_, outcome), times in self.outcomes.items():
            said[outcome] += times
        return " ".join(f"{outcome}:{times}" for outcome, times in said.most_common())

    async def visit(self, kind: str, act: Callable[[], Awaitable[str]]) -> None:
        """Come again and again."""
        while True:
            try:
                async with asyncio.timeout(20):
                    said = await act()
            except (OSError, TimeoutError, httpx.HTTPError, WebSocketException) as error:
                said = str(error.response.status_code) if isinstance(error, InvalidStatus) else type(error).__name__
            except ClosedError as error:
                said = str(error.code)
            self.outcomes[kind, said] += 1
            if said != "ok":
                self.failed_at[kind] = time.monotonic()
            await asyncio.sleep(EVERY_S)


@contextlib.asynccontextmanager
async def visiting(stack: Stack, agent: PairedAgent) -> AsyncIterator[Visitors]:
    """Let a user, a program with an API key, an agent and somebody who signs in come while the block runs."""
    visitors = Visitors()
    bearer = stack.client(Authorization=f"Bearer {await stack.admin.create_key()}")
    stranger = stack.client()

    async def ask(client: httpx.AsyncClient, path: str) -> str:
        return _said(await client.get(path))

    async def sign_in() -> str:
        stranger.cookies.clear()
        return _said(await stranger.post("/api/v1/auth/login", json={"username": "admin", "password": PASSWORD}))

    async def connect() -> str:
        async with agent.connect():
            return "ok"

    kinds = {
        "list": lambda: ask(stack.admin.client, "/pairing"),
        "figures": lambda: ask(stack.admin.client, f"/telemetry/metrics/{agent.agent_id}?period=1h"),
        "api key": lambda: ask(bearer, "/api/v1/auth/me"),
        "sign in": sign_in,
        "agent": connect,
    }
    visits = [asyncio.ensure_future(visitors.visit(kind, act)) for kind, act in kinds.items()]
    try:
        yield visitors
    finally:
        for visit in visits:
            visit.cancel()
        await asyncio.gather(*visits, return_exceptions=True)


def _said(answer: httpx.Response) -> str:
    return "ok" if answer.is_success else str(answer.status_code)
