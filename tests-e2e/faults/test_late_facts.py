"""Facts that come late, again, or never: what is over stays over, and what is missing is fetched from its owner."""

import time

import pytest
from stack import ClosedError, PairedAgent, Stack
from stack.facts import publish_as, published
from stack.figures import tell
from stack.sockets import metrics_frame

from shoal.testing.suite import eventually
from shoal_events import PairingConfirmed

pytestmark = [pytest.mark.fault, pytest.mark.timeout(120)]

COPIES = ("telemetry-ingest", "metrics-query")


async def test_a_late_redelivered_confirmation_after_the_deletion_admits_nobody(stack: Stack, size: int) -> None:
    tried = admitted = 0
    for _ in range(3 * size):
        agent = await stack.admin.pair()
        confirmed = await confirmation_of(stack, agent)
        await stack.admin.unpair(agent)
        await eventually(lambda gone=agent: is_refused(gone))
        await publish_as(stack, "pairing", confirmed)
        later = await stack.admin.pair()  # facts come in order: when this one is known, the late one has been read
        await eventually(lambda known=later: has_answers(stack, known))
        async with later.connect():
            tried += 1
            admitted += not await is_refused(agent)
            admitted += await has_answers(stack, agent)
            admitted += await stack.admin.status_of(agent) != "gone"
    tell("late pairing.confirmed", ops=tried, admitted=admitted)
    assert admitted == 0


async def test_a_service_that_starts_after_the_facts_are_gone_catches_up_from_their_owner(stack: Stack) -> None:
    kept, ended = await stack.admin.pair(), await stack.admin.pair()
    await stack.admin.unpair(ended)
    for name in COPIES:
        await stack.kill(name)
    await forget_everything(stack)
    started = time.monotonic()
    for name in COPIES:
        await stack.start(name)
    recovery_s = time.monotonic() - started
    async with kept.connect() as socket:
        await socket.send(metrics_frame(kept.agent_id, messages_1h=11))
        await socket.barrier()
    await eventually(lambda: has_answers(stack, kept))
    assert await is_refused(ended)
    assert not await has_answers(stack, ended)
    tell("start after the facts", copies=len(COPIES), recovery_s=recovery_s)


async def confirmation_of(stack: Stack, agent: PairedAgent) -> PairingConfirmed:
    """Read the fact of an agent's pairing, once it is published."""
    found: list[PairingConfirmed] = []

    async def is_there() -> bool:
        found[:] = [fact for fact in await published(stack, PairingConfirmed) if fact.pairing_id == agent.pairing_id]
        return bool(found)

    await eventually(is_there)
    return found[0]


async def forget_everything(stack: Stack) -> None:
    """Take the facts out of the stream, and the copies out of the services that made them of these facts."""
    async with stack.nats() as bus:
        jetstream = bus.jetstream()
        await jetstream.purge_stream("EVENTS")
        for consumer in await jetstream.consumers_info("EVENTS"):
            if consumer.name.startswith(("telemetry_ingest", "metrics_query")):
                await jetstream.delete_consumer("EVENTS", consumer.name)
    for schema in ("telemetry_ingest", "metrics_query"):
        for table in ("pairing", "copy_state", "inbox"):
            await stack.query(f"truncate {schema}.{table}")


async def is_refused(agent: PairedAgent) -> bool:
    """Tell whether the agent's token is no good at the door."""
    try:
        async with agent.connect():
            return False
    except ClosedError as error:
        if error.code in {4401, 4409}:
            return True
        raise


async def has_answers(stack: Stack, agent: PairedAgent) -> bool:
    """Tell whether the account may ask about the agent."""
    return (await stack.admin.client.get(f"/telemetry/metrics/{agent.agent_id}")).is_success
