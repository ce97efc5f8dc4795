"""telemetry-ingest is killed with -9 again and again while agents stream: what was acknowledged is stored, once."""

import asyncio
import time

import pytest
from stack import Stack
from stack.figures import Machine, percentile, tell, watched
from stack.ledger import compare, compare_by_contract, is_settled
from stack.senders import NumberingSender, PingingSender, Sender

from shoal.testing.suite import eventually

pytestmark = [pytest.mark.fault, pytest.mark.timeout(1800)]

AGENTS, RATE, KILLS, EVERY_S = 20, 100, 6, 5.0
BACK_S = 1.0
"""Within how many seconds after the process can do its work everybody streams again."""
MAX_MIB = 200.0


async def test_nothing_acknowledged_is_lost_and_nothing_is_stored_twice(stack: Stack, size: int) -> None:
    numbering = [NumberingSender(await stack.admin.pair(), rate=RATE) for _ in range(AGENTS // 2)]
    pinging = [PingingSender(await stack.admin.pair(), rate=RATE) for _ in range(AGENTS // 2)]
    senders: list[Sender] = [*numbering, *pinging]
    machine, back = Machine(), list[float]()
    async with watched(stack.suite.processes) as memory, asyncio.TaskGroup() as work:
        for sender in senders:
            work.create_task(sender.run())
        for _ in range(KILLS * size):
            await asyncio.sleep(EVERY_S)
            await stack.kill("telemetry-ingest")
            await stack.start("telemetry-ingest")
            ready = time.monotonic()
            await eventually(lambda: all(sender.is_connected for sender in senders))
            back.append(time.monotonic() - ready)
        await asyncio.sleep(EVERY_S)
        for sender in senders:
            sender.stop()
    await eventually(lambda: is_settled(stack), within_s=30)
    lost, twice = await compare(stack, numbering)
    lost_contract, twice_contract = await compare_by_contract(stack, pinging)
    away = [seconds for sender in senders for seconds in sender.away]
    tell(
        "ingest killed -9",
        kills=KILLS * size,
        ops=sum(s.sent for s in numbering) + sum(sum(s.sent.values()) for s in pinging),
        acked=sum(s.acked for s in numbering) + sum(sum(s.acked.values()) for s in pinging),
        lost=lost + lost_contract,
        duplicated=twice + twice_contract,
        recovery_s=max(away),
        recovery_p50_s=percentile(away, 0.5),
        after_ready_s=max(back),
        rss_mib=memory.highest["telemetry-ingest"],
        used_by_others=machine.others,
    )
    assert (lost, twice) == (0, 0), "numbered frames"
    assert (lost_contract, twice_contract) == (0, 0), "frames before an answered ping"
    assert not [code for sender in senders for code in sender.refusals]
    assert all(len(sender.away) >= KILLS * size - 1 for sender in senders)
    machine.hold(after_ready_s=(max(back), BACK_S))
    assert memory.highest["telemetry-ingest"] <= MAX_MIB
