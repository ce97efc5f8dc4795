"""Agent pairings proposed and confirmed through the gateway, beside dashboard pairings opened and confirmed."""

import asyncio
import base64
import itertools
import os
import time
from collections.abc import Awaitable, Callable, Iterator

import msgspec
from stack import Account, Stack
from stack.figures import percentile

from bench.caller import Caller
from bench.rows import Row, Scale, bench_stack
from shoal.testing.suite import eventually

COUPLES, AGENTS, AT_ONCE = 4, 15, 8


class Couple:
    """Two connected accounts with agents each."""

    def __init__(self, connection: str, keys: tuple[str, str], agents: tuple[list[str], list[str]]) -> None:
        self.connection, self.keys = connection, keys
        self.pairs = itertools.product(*agents)

    async def pair(self, caller: Caller) -> tuple[float, float]:
        """Propose and confirm one pairing; returns milliseconds of either."""
        mine, theirs = next(self.pairs)
        path, body = f"/v1/connections/{self.connection}/pairings", {"my_agent_id": mine, "their_agent_id": theirs}
        proposed = await caller.ask("POST", path, msgspec.json.encode(body), key=self.keys[0])
        pairing_id = msgspec.json.decode(proposed.body)["id"]
        confirmed = await caller.ask("POST", f"/v1/pairings/{pairing_id}/confirm", b"null", key=self.keys[1])
        return proposed.took_ms, confirmed.took_ms


async def run(scale: Scale) -> list[Row]:
    """Measure both kinds in turn, each with as many callers."""
    async with bench_stack() as stack:
        couples = [await couple(stack, number) for number in range(COUPLES)]
        turns = itertools.cycle(couples)
        key = await stack.admin.create_key()
        mine = COUPLES * AGENTS**2 // (4 if scale.quick else 1)
        await measure(stack, 10 * AT_ONCE, lambda caller: dashboard_pair(caller, key))  # to warm up
        dashboard = await measure(stack, mine, lambda caller: dashboard_pair(caller, key))
        between = await measure(stack, mine, lambda caller: next(turns).pair(caller))
    return [
        Row(
            f"agent pairings, create + confirm, {AT_ONCE} callers, {COUPLES} connections, through the gateway",
            f"{between.rate:,.0f} pairs/s; p99 create {between.p99(0):.0f} ms, confirm {between.p99(1):.0f} ms",
            f"dashboard pairings, init + confirm: {dashboard.rate:,.0f} pairs/s; "
            f"p99 {dashboard.p99(0):.0f} ms, {dashboard.p99(1):.0f} ms",
            between.rate / dashboard.rate,
            bar="is reported",
        )
    ]


class Measured(msgspec.Struct, frozen=True):
    """Pairs a second, and the milliseconds of both steps."""

    rate: float
    times: list[tuple[float, float]]

    def p99(self, step: int) -> float:
        """Give the 99th percentile of one step."""
        return percentile((times[step] for times in self.times), 0.99)


async def measure(stack: Stack, count: int, pair: Callable[[Caller], Awaitable[tuple[float, float]]]) -> Measured:
    """Let callers make pairs until there are so many."""
    callers = [await Caller.open(stack.url) for _ in range(AT_ONCE)]
    left: Iterator[int] = iter(range(count))

    async def work(caller: Caller) -> list[tuple[float, float]]:
        return [await pair(caller) for _ in left]

    started = time.perf_counter()
    times = await asyncio.gather(*(work(caller) for caller in callers))
    return Measured(count / (time.perf_counter() - started), [one for some in times for one in some])


async def dashboard_pair(caller: Caller, key: str) -> tuple[float, float]:
    """Open and confirm one dashboard pairing."""
    opened = await caller.ask("POST", "/pairing/init", b'{"name":"bench"}', key=key)
    body = {"token": msgspec.json.decode(opened.body)["token"], "agent_id": f"agent_{os.urandom(6).hex()}"}
    confirmed = await caller.ask("POST", "/pairing/confirm", msgspec.json.encode(body))
    return opened.took_ms, confirmed.took_ms


async def couple(stack: Stack, number: int) -> Couple:
    """Make two accounts that trust each other."""
    names = f"left{number}", f"right{number}"
    left, right = [await stack.open_account(name) for name in names]
    invited = await left.client.post("/v1/connections", json={"email": f"{names[1]}@localhost"})

    async def has_arrived() -> bool:
        return bool((await right.get("/v1/connections"))["pending_incoming"])

    await eventually(has_arrived)
    connection = invited.json()["id"]
    (await right.client.post(f"/v1/connections/{connection}/accept")).raise_for_status()
    keys = await left.create_key(), await right.create_key()
    return Couple(connection, keys, (await agents_of(left), await agents_of(right)))


async def agents_of(account: Account) -> list[str]:
    """Register agents that are open to others; returns their UUIDs."""
    made = []
    for number in range(AGENTS):
        key = base64.b64encode(os.urandom(32)).decode()
        body = {"agent_id": f"agent{number}", "public_key": key, "available_for_connections": True}
        made.append((await account.client.post("/v1/agents/register", json=body)).json()["id"])
    return made
