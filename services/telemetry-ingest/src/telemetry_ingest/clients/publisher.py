"""The publisher: samples of all sockets, packed into few messages, stored before anybody hears that they are.

Its protocol. A sample joins the open batch. The batch is sealed when it is full, or when `LINGER_S` have passed since
the one before, so that a lone sample leaves at once and a flood leaves in full messages; while every berth is taken
it stays open and fills. A sealed batch is first shown live, then published under an id that every retry reuses, until
the stream acknowledges it. Batches are released in the order in which they were sealed, whatever the order of their
acknowledgements: when a batch is released, everything before it is stored, so a barrier is one batch, not a set.

When the stream is full or NATS is away nothing is released, `has_room` turns false at `MAX_HELD_BYTES`, and whoever
reads sockets waits for `room`: TCP carries the pressure back to the agents. Only a batch that the stream will never
take (too large, no such stream) is given up, and with it the sockets that it came from; none of its samples was
acknowledged.
"""

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec
import structlog
from msgspec import Struct
from nats.errors import Error as NatsError

from shoal.ids import new_id
from shoal.messaging import TELEMETRY, Bus, MessagingUnavailableError, RejectedMessageError
from shoal_events import TelemetryBatch, subjects
from telemetry_ingest.instruments import Instruments

LINGER_S = 0.004
MAX_SAMPLES = 1000
MAX_BYTES = 512 * 1024
MAX_FLYING = 8
MAX_HELD_BYTES = 8 * 1024 * 1024
PUBLISH_TIMEOUT_S = 3.0
LAST_CALL_S = 3.0

_encode = msgspec.json.Encoder().encode


class Sender(Protocol):
    """Whoever sent samples and wants to know what became of them."""

    def acknowledge(self, seq: int) -> None:
        """Hear that everything up to a numbered frame is stored."""
        ...

    def give_up(self) -> None:
        """Hear that something will never be stored."""
        ...


class Source:
    """One life of one agent's samples, as one sender sends them; within it a number means one sample."""

    __slots__ = ("account_id", "agent_id", "counted", "epoch", "sender", "subjects")

    def __init__(self, account_id: str, agent_id: str, epoch: str, sender: Sender) -> None:
        self.account_id = account_id
        self.agent_id = agent_id
        self.epoch = epoch
        self.sender = sender
        self.counted = 0
        self.subjects: dict[str, str] = {}

    def subject(self, kind: str) -> str:
        """Where frames of a kind are heard live."""
        known = self.subjects.get(kind)
        if known is None:
            known = self.subjects[kind] = subjects.live(self.account_id, self.agent_id, kind)
        return known


class _Group(Struct, gc=False):
    """A SampleGroup whose samples are encoded already."""

    account_id: str
    agent_id: str
    epoch: str
    samples: list[msgspec.Raw]


class _Packed(Struct, gc=False):
    """A TelemetryBatch whose samples are encoded already."""

    batch_id: str
    process: str
    groups: list[_Group]


class Batch:
    """Samples that travel together."""

    __slots__ = (
        "acks", "began", "count", "groups", "is_landed", "is_lost", "is_released", "kinds", "live", "size", "waiters",
    )  # fmt: skip

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.count = 0
        self.size = 0
        self.groups: dict[Source, list[msgspec.Raw]] = {}
        self.live: list[tuple[str, bytes]] = []
        self.kinds: dict[str, int] = {}
        self.acks: dict[Sender, int] = {}
        self.waiters: list[Callable[[], None]] = []
        self.is_landed = self.is_lost = self.is_released = False

    def when_released(self, act: Callable[[], None]) -> None:
        """Do something once this batch and all before it are stored; at once if they are."""
        if self.is_released:
            act()
        else:
            self.waiters.append(act)

    def pack(self, batch_id: str, process: str) -> bytes:
        """Write the message: a `TelemetryBatch` as JSON."""
        groups = [_Group(s.account_id, s.agent_id, s.epoch, samples) for s, samples in self.groups.items()]
        return _encode(_Packed(batch_id, process, groups))

    def release(self) -> None:
        """Tell everybody who waits: stored, or given up."""
        self.is_released = True
        if self.is_lost:
            for sender in {source.sender for source in self.groups}:
                sender.give_up()
            return
        for sender, seq in self.acks.items():
            sender.acknowledge(seq)
        for act in self.waiters:
            act()


class Publisher:
    """Stores samples, in few messages."""

    name = "publisher"

    def __init__(self, bus: Bus, *, process: str, instruments: Instruments) -> None:
        self._bus = bus
        self._process = process
        self._subject = f"{TelemetryBatch.subject_prefix}.{subjects.token(process)}"
        self._instruments = instruments
        self._open = Batch()
        self._sealed: asyncio.Queue[Batch] = asyncio.Queue()
        self._sealed_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._berths = asyncio.Semaphore(MAX_FLYING)
        self._flying: deque[Batch] = deque()
        self._carriers: set[asyncio.Task[None]] = set()
        self._held = 0
        self._room = asyncio.Event()
        self._room.set()

    @property
    def has_room(self) -> bool:
        """Whether more samples should be read: less than `MAX_HELD_BYTES` wait for the stream."""
        return self._held < MAX_HELD_BYTES

    async def room(self) -> None:
        """Wait until more samples may be read."""
        while not self.has_room:
            self._room.clear()
            await self._room.wait()

    def problem(self) -> str | None:
        """A full stream makes senders wait; it does not make new sockets or viewers unwelcome."""
        return None

    def add(self, source: Source, sample: bytes, kind: str, live: bytes) -> Batch:
        """Add a sample, encoded, and the frame that viewers see; returns the batch that carries it."""
        batch = self._open
        samples = batch.groups.get(source)
        if samples is None:
            samples = batch.groups[source] = []
        samples.append(msgspec.Raw(sample))
        batch.live.append((source.subject(kind), live))
        batch.kinds[kind] = batch.kinds.get(kind, 0) + 1
        if not batch.count:
            batch.began = time.perf_counter()
        batch.count += 1
        size = len(sample) + 32
        batch.size += size
        self._held += size
        if batch.count >= MAX_SAMPLES or batch.size >= MAX_BYTES:
            self._seal()
        elif self._timer is None:
            self._seal_soon()
        return batch

    async def run(self) -> None:
        """Show and publish batches for ever; what is left is published when this is cancelled."""
        try:
            while True:
                batch = await self._sealed.get()
                await self._show(batch)
                await self._berths.acquire()
                self._launch(batch)
        finally:
            await self._last_call()

    def _seal_soon(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(max(loop.time(), self._sealed_at + LINGER_S), self._seal_if_berth)

    def _seal_if_berth(self) -> None:
        self._timer = None
        if self._open.count and not self._berths.locked():
            self._seal()

    def _seal(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._open = self._open, Batch()
        self._sealed_at = asyncio.get_running_loop().time()
        self._sealed.put_nowait(batch)
        self._instruments.batch.observe(batch.count)
        self._instruments.unacknowledged.set(self._held)

    async def _show(self, batch: Batch) -> None:
        """Let viewers see the frames, wherever they are connected; nothing waits for them."""
        live, batch.live = batch.live, []
        if self._bus.is_connected:
            client = self._bus.client
            with contextlib.suppress(NatsError, OSError):
                for subject, body in live:
                    await client.publish(subject, body)

    def _launch(self, batch: Batch) -> None:
        self._flying.append(batch)
        carrier = asyncio.create_task(self._carry(batch))
        self._carriers.add(carrier)
        carrier.add_done_callback(self._carriers.discard)

    async def _carry(self, batch: Batch) -> None:
        """Publish one batch until the stream has it."""
        batch_id = new_id("batch")
        payload = batch.pack(batch_id, self._process)
        pause = 0.05
        while True:
            try:
                await self._bus.publish(
                    self._subject, payload, message_id=batch_id, stream=TELEMETRY, timeout_s=PUBLISH_TIMEOUT_S
                )
                break
            except MessagingUnavailableError:
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
                pause = min(pause * 2, 1.0)
            except RejectedMessageError as error:
                structlog.get_logger().error("batch_rejected", size=len(payload), reason=str(error))
                batch.is_lost = True
                break
        self._land(batch)

    def _land(self, batch: Batch) -> None:
        batch.is_landed = True
        self._berths.release()
        while self._flying and self._flying[0].is_landed:
            self._release(self._flying.popleft())
        if self._open.count and self._timer is None:
            self._seal_if_berth()

    def _release(self, batch: Batch) -> None:
        self._held -= batch.size
        outcome = "given_up" if batch.is_lost else "stored"
        for kind, count in batch.kinds.items():
            self._instruments.frames.labels(kind, outcome).inc(count)
        self._instruments.publish.observe(time.perf_counter() - batch.began)
        self._instruments.unacknowledged.set(self._held)
        batch.release()
        if self.has_room:
            self._room.set()

    async def _last_call(self) -> None:
        """Publish what is left, for as long as a process that stops may still take."""
        if self._open.count:
            self._seal()
        while not self._sealed.empty():
            self._launch(self._sealed.get_nowait())
        if self._carriers:
            _, late = await asyncio.wait(self._carriers, timeout=LAST_CALL_S)
            for carrier in late:
                carrier.cancel()
