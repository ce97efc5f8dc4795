"""One token and a hundred who want it; and a confirmation while NATS is away."""

import asyncio
import time
from collections import Counter

import httpx
import pytest
from stack import Stack
from stack.facts import published
from stack.figures import Machine, tell

from shoal.testing.suite import eventually
from shoal_events import PairingConfirmed

pytestmark = [pytest.mark.fault, pytest.mark.timeout(120)]

AT_ONCE = 100
AWAY_S = 2.0
PUBLISHED_S = 5.0


async def test_of_a_hundred_concurrent_confirms_exactly_one_wins(stack: Stack, size: int) -> None:
    rounds = size
    for _ in range(rounds):
        opened = await stack.admin.open_pairing("Wanted by many")
        async with httpx.AsyncClient(
            base_url=stack.url, timeout=30, trust_env=False, limits=httpx.Limits(max_connections=AT_ONCE)
        ) as many:
            answers = await asyncio.gather(
                *(
                    many.post("/pairing/confirm", json={"token": opened["token"], "agent_id": f"agent_n{n}"})
                    for n in range(AT_ONCE)
                )
            )
        outcome = Counter((a.status_code, a.json().get("error", {}).get("code", "")) for a in answers)
        assert outcome == {(200, ""): 1, (400, "invalid_token"): AT_ONCE - 1}, outcome
        await eventually(lambda wanted=opened: facts_of(stack, wanted["pairing_id"]))
        events = await facts_of(stack, opened["pairing_id"])
        listed = [p for p in (await stack.admin.get("/pairing"))["pairings"] if p["id"] == opened["pairing_id"]]
        tell("100 concurrent confirms", ops=AT_ONCE, acked=1, pairings=len(listed), events=len(events))
        winner = next(answer.json() for answer in answers if answer.is_success)
        assert [event.agent_id for event in events] == [winner["agent"]["id"]] == [listed[0]["agent"]["id"]]


async def test_a_confirm_while_nats_is_away_succeeds_and_is_told_within_five_seconds_of_its_return(
    stack: Stack, size: int
) -> None:
    opened = [await stack.admin.open_pairing("While NATS is away") for _ in range(5 * size)]
    assert stack.suite.nats is not None
    machine = Machine()
    await stack.suite.nats.stop()
    try:
        async with httpx.AsyncClient(base_url=stack.url, timeout=30, trust_env=False) as agent:
            answers = [
                await agent.post("/pairing/confirm", json={"token": one["token"], "agent_id": f"agent_away{n}"})
                for n, one in enumerate(opened)
            ]
        await asyncio.sleep(AWAY_S)
    finally:
        await stack.suite.nats.start()
    back = time.monotonic()
    assert [answer.status_code for answer in answers] == [200] * len(opened)
    wanted = {one["pairing_id"] for one in opened}

    async def all_told() -> bool:
        return wanted <= {event.pairing_id for event in await published(stack, PairingConfirmed)}

    await eventually(all_told, within_s=20)
    recovery_s = time.monotonic() - back
    told = [event for event in await published(stack, PairingConfirmed) if event.pairing_id in wanted]
    tell(
        "confirm without NATS",
        ops=len(opened),
        acked=len(answers),
        lost=len(wanted) - len({event.pairing_id for event in told}),
        duplicated=len(told) - len(wanted),
        recovery_s=recovery_s,
        used_by_others=machine.others,
    )
    machine.hold(recovery_s=(recovery_s, PUBLISHED_S))
    assert len(told) == len(wanted)
    await stack.until_ready()


async def facts_of(stack: Stack, pairing_id: str) -> list[PairingConfirmed]:
    """Give every fact that says that this pairing was confirmed."""
    return [event for event in await published(stack, PairingConfirmed) if event.pairing_id == pairing_id]
