"""Both streams are full to the brim: senders wait, nothing that was acknowledged is lost, and all goes on by itself."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator

import pytest
from stack import Stack
from stack.facts import published
from stack.figures import Machine, tell, watched
from stack.ledger import compare, compare_by_contract, is_settled
from stack.senders import NumberingSender, PingingSender, Sender

from shoal.testing.suite import eventually
from shoal_events import PairingConfirmed, PairingOpened

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]

AGENTS, RATE = 10, 90
FULL_S = 8.0
ROOM = 400_000
RECOVERED_S = 5.0
MAX_MIB = 200.0


async def test_samples_wait_while_their_stream_is_full(stack: Stack, size: int) -> None:
    numbering = [NumberingSender(await stack.admin.pair(), rate=RATE) for _ in range(AGENTS // 2)]
    pinging = [PingingSender(await stack.admin.pair(), rate=RATE) for _ in range(AGENTS // 2)]
    senders: list[Sender] = [*numbering, *pinging]
    machine = Machine()
    async with watched(stack.suite.processes) as memory, asyncio.TaskGroup() as work:
        async with brimful(stack, "TELEMETRY", room=ROOM), stopped(stack, "metrics-query"):
            for sender in senders:
                work.create_task(sender.run())
            await asyncio.sleep(FULL_S * size)
            acked = [sender.acked for sender in numbering]
            await asyncio.sleep(2)
            held = [sender.acked for sender in numbering]
            stored = await bytes_of(stack, "TELEMETRY")
        back = time.monotonic()
        await eventually(lambda: all(s.acked > n for s, n in zip(numbering, held, strict=True)), within_s=20)
        recovery_s = time.monotonic() - back
        for sender in senders:
            sender.stop()
    await eventually(lambda: is_settled(stack), within_s=30)
    lost, twice = await compare(stack, numbering)
    lost_contract, twice_contract = await compare_by_contract(stack, pinging)
    tell(
        "TELEMETRY full",
        ops=sum(s.sent for s in numbering) + sum(sum(s.sent.values()) for s in pinging),
        acked=sum(s.acked for s in numbering) + sum(sum(s.acked.values()) for s in pinging),
        lost=lost + lost_contract,
        duplicated=twice + twice_contract,
        stored_bytes=stored,
        recovery_s=recovery_s,
        rss_mib=memory.highest["telemetry-ingest"],
        used_by_others=machine.others,
    )
    assert acked == held, "nobody is told that a frame is stored while there is no room for it"
    assert (lost, twice, lost_contract, twice_contract) == (0, 0, 0, 0)
    assert not [code for sender in senders for code in sender.refusals]
    machine.hold(recovery_s=(recovery_s, RECOVERED_S))
    assert memory.highest["telemetry-ingest"] <= MAX_MIB


async def test_facts_wait_while_their_stream_is_full_and_nobody_is_refused(stack: Stack, size: int) -> None:
    opened, machine = list[str](), Machine()
    async with brimful(stack, "EVENTS", room=0):
        opened += [(await stack.admin.open_pairing())["pairing_id"] for _ in range(20 * size)]
        agent = await stack.admin.pair(name="While EVENTS is full")
        async with agent.connect() as socket:
            assert socket.auth["agents"] == [agent.agent_id], "its owner is asked where the fact has not come"
        assert not {event.pairing_id for event in await published(stack, PairingOpened)} & set(opened)
    back = time.monotonic()

    async def all_told() -> bool:
        confirmed = {event.pairing_id for event in await published(stack, PairingConfirmed)}
        told = {event.pairing_id for event in await published(stack, PairingOpened)}
        return agent.pairing_id in confirmed and set(opened) <= told

    await eventually(all_told, within_s=20)
    recovery_s = time.monotonic() - back
    told = [e.pairing_id for e in await published(stack, PairingOpened) if e.pairing_id in opened]
    tell(
        "EVENTS full",
        ops=len(opened) + 1,
        acked=len(opened) + 1,
        lost=len(opened) - len(set(told)),
        duplicated=len(told) - len(set(told)),
        recovery_s=recovery_s,
        used_by_others=machine.others,
    )
    machine.hold(recovery_s=(recovery_s, RECOVERED_S))
    assert sorted(told) == sorted(opened)


@contextlib.asynccontextmanager
async def brimful(stack: Stack, name: str, *, room: int) -> AsyncIterator[None]:
    """Leave a stream that much room and no more while the block runs."""
    async with stack.nats() as bus:
        jetstream = bus.jetstream()
        config = (await jetstream.stream_info(name)).config
        before = config.max_bytes
        config.max_bytes = max(1, await bytes_of(stack, name) + room)
        await jetstream.update_stream(config)
        try:
            yield
        finally:
            config.max_bytes = before
            await jetstream.update_stream(config)


@contextlib.asynccontextmanager
async def stopped(stack: Stack, name: str) -> AsyncIterator[None]:
    """Freeze a service while the block runs."""
    stack.suite.processes[name].send(signal.SIGSTOP)
    try:
        yield
    finally:
        stack.suite.processes[name].send(signal.SIGCONT)


async def bytes_of(stack: Stack, name: str) -> int:
    """Tell how large a stream is."""
    async with stack.nats() as bus:
        return int((await bus.jetstream().stream_info(name)).state.bytes)
