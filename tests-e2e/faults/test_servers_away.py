"""NATS and PostgreSQL go away for a while: nobody is wrongly refused, and nothing acknowledged is lost."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from stack import Stack
from stack.figures import Machine, tell, watched
from stack.ledger import compare, compare_by_contract, is_settled
from stack.senders import NumberingSender, PingingSender, Sender
from stack.visitors import Visitors, visiting

from shoal.testing.suite import eventually

pytestmark = [pytest.mark.fault, pytest.mark.timeout(1800)]

AGENTS, RATE = 10, 50
NATS_S, POSTGRES_S = 10.0, 15.0
WARM_S, COOL_S = 4.0, 4.0
RECOVERED_S = 5.0
MORE_DURING_MIB, MORE_AFTER_MIB = 50.0, 10.0


async def test_nats_may_be_away_for_ten_seconds(stack: Stack, size: int) -> None:
    await go_without(stack, stack.suite.nats, "NATS stopped 10 s", times=size, away_s=NATS_S)


async def test_postgres_may_be_away_for_fifteen_seconds(stack: Stack, size: int) -> None:
    await go_without(stack, stack.suite.postgres, "PostgreSQL stopped 15 s", times=size, away_s=POSTGRES_S)


async def go_without(stack: Stack, server: Any, title: str, *, times: int, away_s: float) -> None:
    """Stop a server under load and start it again, several times, and see what became of everything."""
    numbering = [NumberingSender(await stack.admin.pair(), rate=RATE) for _ in range(AGENTS // 2)]
    pinging = [PingingSender(await stack.admin.pair(), rate=RATE) for _ in range(AGENTS // 2)]
    visitor = await stack.admin.pair()
    senders: list[Sender] = [*numbering, *pinging]
    machine = Machine()
    async with watched(stack.suite.processes) as memory, visiting(stack, visitor) as visitors, streaming(senders):
        await asyncio.sleep(WARM_S)
        before, memory.highest, recovery_s = dict(memory.last), {}, 0.0
        for _ in range(times):
            await server.stop()
            await asyncio.sleep(away_s)
            await server.start()
            recovery_s = max(recovery_s, await recovered(numbering, visitors, time.monotonic()))
            await asyncio.sleep(COOL_S)
        during, after = dict(memory.highest), dict(memory.last)
    await stack.until_ready()
    await eventually(lambda: is_settled(stack), within_s=30)
    lost, twice = await compare(stack, numbering)
    lost_contract, twice_contract = await compare_by_contract(stack, pinging)
    grown, kept = _more(before, during), _more(before, after)
    tell(
        title,
        times=times,
        ops=sum(s.sent for s in numbering) + sum(sum(s.sent.values()) for s in pinging),
        acked=sum(s.acked for s in numbering) + sum(sum(s.acked.values()) for s in pinging),
        lost=lost + lost_contract,
        duplicated=twice + twice_contract,
        visits=visitors.told,
        wrong_rejections=sum(visitors.wrong.values()) + sum(len(sender.refusals) for sender in senders),
        recovery_s=recovery_s,
        rss_during=_worst(grown),
        rss_after=_worst(kept),
        used_by_others=machine.others,
    )
    assert not visitors.wrong
    assert not [code for sender in senders for code in sender.refusals]
    assert (lost, twice, lost_contract, twice_contract) == (0, 0, 0, 0)
    machine.hold(recovery_s=(recovery_s, RECOVERED_S))
    assert max(grown.values()) <= MORE_DURING_MIB, grown
    assert max(kept.values()) <= MORE_AFTER_MIB, kept


@contextlib.asynccontextmanager
async def streaming(senders: Sequence[Sender]) -> AsyncIterator[None]:
    """Stream while the block runs, and then until everything sent is stored."""
    async with asyncio.TaskGroup() as work:
        for sender in senders:
            work.create_task(sender.run())
        yield
        for sender in senders:
            sender.stop()


async def recovered(senders: Sequence[NumberingSender], visitors: Visitors, back: float) -> float:
    """Wait until every sender is acknowledged again and every visitor is served; returns seconds since the return."""
    at_return = {sender: sender.acked for sender in senders}
    progress: dict[NumberingSender, float] = {}
    served_before = visitors.total("ok")

    def all_progress() -> bool:
        for sender in senders:
            if sender.acked > at_return[sender]:
                progress.setdefault(sender, time.monotonic())
        return len(progress) == len(senders) and visitors.total("ok") > served_before

    await eventually(all_progress, lambda: f"{len(progress)} of {len(senders)}", within_s=30)
    await asyncio.sleep(RECOVERED_S)
    last_failure = max(visitors.failed_at.values(), default=back)
    return max(*progress.values(), last_failure) - back


def _more(before: dict[str, float], later: dict[str, float]) -> dict[str, float]:
    return {name: mib - before[name] for name, mib in later.items() if name in before}


def _worst(grown: dict[str, float]) -> str:
    name = max(grown, key=lambda each: grown[each])
    return f"{grown[name]:+.1f} MiB ({name})"
