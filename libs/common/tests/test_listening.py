"""Listening: each process hears every fact, from some minutes before it began, and goes on after an outage."""

from nats.aio.msg import Msg

from shoal.clock import SystemClock
from shoal.listening import Listener
from shoal.messaging import EVENTS, Bus
from shoal_embedded.nats import EmbeddedNats
from shoal_events import PairingRenamed

from .toy import at_work, renamed, until


async def tell(bus: Bus, name: str, **headers: str) -> None:
    fact = renamed(name=name)
    told = {"ce-type": fact.event_type} | headers
    await bus.publish(fact.subject, fact.to_json(), message_id=f"m{name}", stream=EVENTS, headers=told)


def listener(bus: Bus, heard: list[str]) -> Listener:
    def act(fact: PairingRenamed, _: Msg) -> None:
        heard.append(fact.name)

    return Listener("names", {PairingRenamed: act}, bus=bus, clock=SystemClock())


async def test_every_process_hears_what_was_told_before_and_after_it_began(bus: Bus) -> None:
    first: list[str] = []
    second: list[str] = []
    await tell(bus, "a")
    one, other = listener(bus, first), listener(bus, second)
    assert one.problem() == "names are not heard"
    async with at_work(one.run(), other.run()):
        await until(lambda: one.problem() is other.problem() is None)
        await tell(bus, "b")
        await until(lambda: first == second == ["a", "b"])


async def test_what_cannot_be_read_stops_nothing(bus: Bus) -> None:
    heard: list[str] = []
    async with at_work(listener(bus, heard).run()):
        await tell(bus, "a", **{"ce-type": "unknown"})
        await bus.publish(renamed().subject, b"no fact", message_id="x", stream=EVENTS)
        await tell(bus, "b")
        await until(lambda: heard == ["b"])


async def test_listener_goes_on_where_it_was_after_an_outage(bus: Bus, nats_at_hand: EmbeddedNats) -> None:
    heard: list[str] = []
    made = listener(bus, heard)
    async with at_work(made.run()):
        await tell(bus, "a")
        await until(lambda: heard == ["a"])
        await nats_at_hand.stop()
        await until(lambda: made.problem() is not None)
        await nats_at_hand.start()
        await until(lambda: bus.problem() is None)
        await tell(bus, "b")
        await until(lambda: heard == ["a", "b"], within_s=10)
