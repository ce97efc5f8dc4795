"""Two hundred browsers and one that does not read: the others never notice."""

import asyncio
import contextlib
import time
from typing import Any

import pytest
from runtime_door import Door
from runtime_sockets import Wire, publish, wire

from shoal.testing.suite import eventually, user

SOCKETS = 200
PER_USER = 50
FRAMES = 60
FLOOD = 1400
"""Frames of 8,000 characters: more than a socket and the kernel hold for one reader."""


@pytest.mark.fault
async def test_reader_that_stalls_among_two_hundred_changes_nothing_for_the_others(door: Door) -> None:
    async with contextlib.AsyncExitStack() as stack:
        crowd = await asyncio.gather(*(_join(stack, door, number) for number in range(SOCKETS - 1)))
        stalled = await stack.enter_async_context(wire(door.service, user("acct_1", "user_stalled"), max_queue=1))
        await stalled.subscribe("session:heavy", "agent:status")
        calm = await _measure(door, crowd)
        stalled.connection.transport.pause_reading()
        flood = asyncio.create_task(_flood(door))
        busy = await _measure(door, crowd)
        await flood
        stalled.connection.transport.resume_reading()
        assert await stalled.closed() in {1013, 1006}
        assert busy < calm + 1
        await eventually(lambda: _are_left(door))


async def _join(stack: contextlib.AsyncExitStack, door: Door, number: int) -> Wire:
    page = await stack.enter_async_context(wire(door.service, user("acct_1", f"user_{number // PER_USER}")))
    await page.subscribe("agent:status")
    return page


async def _measure(door: Door, crowd: list[Wire]) -> float:
    """Show frames; every socket must hear every one of them in order. Gives the longest way of one, in seconds."""
    sent: list[float] = []

    async def listen(page: Wire) -> float:
        slowest = 0.0
        for number in range(FRAMES):
            frame = await page.hear("agent:status", within_s=20)
            assert frame["status"] == str(number)
            slowest = max(slowest, time.monotonic() - sent[number])
        return slowest

    listening = asyncio.gather(*(listen(page) for page in crowd))
    for number in range(FRAMES):
        sent.append(time.monotonic())
        await publish(door.suite, "agent:status", "agent:status", {"agentId": "agent-1", "status": str(number)})
        await asyncio.sleep(0.02)
    return max(await listening)


async def _flood(door: Door) -> None:
    for number in range(FLOOD):
        data: dict[str, Any] = {"session_key": "heavy", "content": "x" * 4000, "number": number}
        await publish(door.suite, "session:heavy", "stream_chunk", data)


async def _are_left(door: Door) -> bool:
    return bool((await door.sql("select count(*) from socket"))[0][0] == SOCKETS - 1)
