"""NATS: the connection, the streams, publishing that is durable, and pulling without gaps.

Facts travel on the stream EVENTS, samples on TELEMETRY, what could not be handled on DEAD; live frames are core NATS
and are never stored. A publish whose answer did not come may still have been stored, so every message carries a
stable `Nats-Msg-Id` and every retry reuses it.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import nats
import structlog
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    PubAck,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError

from shoal.errors import UnavailableError

MEBIBYTE = 1024 * 1024
DAY_S = 86400.0

EVENTS, TELEMETRY, DEAD = "EVENTS", "TELEMETRY", "DEAD"


class StreamLimits(Struct, frozen=True):
    """How much each stream may hold before publishers are made to wait."""

    events_bytes: int = 1024 * MEBIBYTE
    telemetry_bytes: int = 2048 * MEBIBYTE
    dead_bytes: int = 128 * MEBIBYTE
    replicas: int = 1


class MessagingUnavailableError(UnavailableError):
    """The message system cannot be reached right now, or is full; try again."""

    code = "messaging_unavailable"


class RejectedMessageError(Exception):
    """The server will never take this message: too large, or its subject belongs to no stream."""


class Bus:
    """One connection to NATS, kept for as long as the process lives."""

    def __init__(self, url: str, *, name: str, limits: StreamLimits | None = None) -> None:
        self._url = url
        self._name = name
        self._limits = limits or StreamLimits()
        self._client = Client()
        self._closed = asyncio.Event()
        self._was_started = False
        self._streams_ready = False

    @property
    def client(self) -> Client:
        """The nats-py client, for core publish and subscribe."""
        return self._client

    @property
    def is_connected(self) -> bool:
        """Whether the server can be reached at this moment."""
        return bool(self._client.is_connected)

    async def run(self) -> None:
        """Connect, keep the streams as they should be, and fail only when the client gave up for good.

        Raises:
            ConnectionError: The client closed itself: the process must start anew.
        """
        log = structlog.get_logger()
        while not self._client.is_connected:
            try:
                await self._connect()
            except (OSError, NatsError, TimeoutError) as error:
                log.warning("nats_unreachable", error=repr(error))
                await asyncio.sleep(0.5)
        while not self._streams_ready:
            try:
                await self._ensure_streams()
                self._streams_ready = True
            except (NatsError, TimeoutError) as error:
                log.warning("streams_not_ready", error=repr(error))
                await asyncio.sleep(0.5)
        await self._closed.wait()
        raise ConnectionError("the NATS client gave up")

    def problem(self) -> str | None:
        """Say why messages cannot flow, or None when they can."""
        if not self._client.is_connected:
            return "not connected"
        return None if self._streams_ready else "streams are not there yet"

    async def publish(
        self,
        subject: str,
        payload: bytes,
        *,
        message_id: str,
        stream: str,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 5,
    ) -> PubAck:
        """Publish to a stream and wait until it is stored.

        Args:
            subject: Every token must already be valid; wildcards are refused here.
            payload: The exact bytes.
            message_id: Stable across retries: the stream drops repeats by it.
            stream: The stream that must take it.
            headers: Further headers, ASCII.
            timeout_s: How long to wait for the acknowledgement.

        Raises:
            MessagingUnavailableError: Not stored, or not known to be: publish again with the same id.
            RejectedMessageError: Publishing again is useless.
        """
        if "*" in subject or ">" in subject or " " in subject:
            raise RejectedMessageError(f"{subject!r} is not a subject")
        if not self._client.is_connected:
            raise MessagingUnavailableError(retry_after_s=1)
        try:
            return await self._client.jetstream().publish(
                subject,
                payload,
                timeout=timeout_s,
                stream=stream,
                headers={"Nats-Msg-Id": message_id, **(headers or {})},
            )
        except APIError as error:
            if error.code == 400:  # noqa: PLR2004 - the stream refuses the message itself, not this moment
                raise RejectedMessageError(str(error)) from error
            raise MessagingUnavailableError(retry_after_s=1) from error
        except nats.errors.MaxPayloadError as error:
            raise RejectedMessageError(str(error)) from error
        except (NatsError, OSError, TimeoutError) as error:
            raise MessagingUnavailableError(retry_after_s=1) from error

    async def publish_live(self, subject: str, payload: bytes) -> None:
        """Publish to whoever listens right now; nothing is stored, nothing is raised."""
        if self._client.is_connected:
            with contextlib.suppress(NatsError, OSError):
                await self._client.publish(subject, payload)

    async def pull(
        self,
        stream: str,
        durable: str,
        *,
        subjects: Sequence[str] = (),
        ack_wait_s: float = 30,
        max_ack_pending: int = 1000,
    ) -> "Pull":
        """Make or update a durable consumer and open a pull on it.

        Raises:
            MessagingUnavailableError: The server does not answer.
        """
        settings = ConsumerConfig(
            durable_name=durable,
            filter_subjects=list(subjects) or None,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ack_wait_s,
            max_ack_pending=max_ack_pending,
            max_deliver=-1,
        )
        try:
            await self._client.jetstream().add_consumer(stream, settings)
            return await Pull.open(self._client, stream, durable)
        except (NatsError, OSError, TimeoutError) as error:
            raise MessagingUnavailableError(retry_after_s=1) from error

    async def close(self) -> None:
        """Send what is buffered and close; never waits longer than five seconds."""
        if not self._was_started:
            return
        with contextlib.suppress(NatsError, OSError, TimeoutError):
            async with asyncio.timeout(5):
                await (self._client.drain() if self._client.is_connected else self._client.close())

    async def _connect(self) -> None:
        self._was_started = True
        await self._client.connect(
            self._url,
            name=self._name,
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            connect_timeout=2,
            ping_interval=10,
            max_outstanding_pings=2,
            drain_timeout=4,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnected,
            closed_cb=self._on_closed,
        )

    async def _ensure_streams(self) -> None:
        jetstream = self._client.jetstream()
        for stream in streams(self._limits):
            await _ensure_stream(jetstream, stream)

    async def _on_error(self, error: Exception) -> None:
        structlog.get_logger().warning("nats_error", error=repr(error))

    async def _on_disconnected(self) -> None:
        structlog.get_logger().warning("nats_disconnected")

    async def _on_reconnected(self) -> None:
        structlog.get_logger().info("nats_reconnected")

    async def _on_closed(self) -> None:
        self._closed.set()


class Pull:
    """A pull on a durable consumer that always has requests outstanding, so a message waits for nobody.

    nats-py's own `fetch` waits for a full batch or its time-out; here whatever has arrived is handed over at once.
    """

    EXPIRES_S = 20.0

    def __init__(self, client: Client, stream: str, durable: str) -> None:
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._inbox = client.new_inbox()
        self._queue: asyncio.Queue[Msg] = asyncio.Queue()
        self._requested = 0
        self._requested_at = 0.0
        self._subscription: Any = None

    @classmethod
    async def open(cls, client: Client, stream: str, durable: str) -> "Pull":
        """Subscribe to the answers; the first `next` sends the first request."""
        pull = cls(client, stream, durable)
        pull._subscription = await client.subscribe(pull._inbox, cb=pull._queue.put)
        return pull

    async def next(self, most: int) -> list[Msg]:
        """Wait for messages; returns all that have arrived, at least one and at most `most`."""
        batch: list[Msg] = []
        while not batch:
            await self._request(most)
            with contextlib.suppress(TimeoutError):
                self._take(await asyncio.wait_for(self._queue.get(), 1.0), batch)
            while len(batch) < most and not self._queue.empty():
                self._take(self._queue.get_nowait(), batch)
        return batch

    async def close(self) -> None:
        """Stop receiving; messages not yet acknowledged are delivered to another."""
        with contextlib.suppress(NatsError, OSError):
            await self._subscription.unsubscribe()

    def _take(self, message: Msg, batch: list[Msg]) -> None:
        status = (message.headers or {}).get("Status")
        if status is None:
            self._requested -= 1
            batch.append(message)
        elif status != "100":  # the request ended: expired, no consumer, server going down
            self._requested = 0

    async def _request(self, most: int) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._requested_at > self.EXPIRES_S + 2:  # answers were lost with a connection
            self._requested = 0
        if self._requested > 0 or not self._client.is_connected:
            return
        request = {"batch": most, "expires": int(self.EXPIRES_S * 1e9)}
        with contextlib.suppress(NatsError, OSError):
            await self._client.publish(self._subject, json.dumps(request).encode(), self._inbox)
            self._requested, self._requested_at = most, now


def streams(limits: StreamLimits) -> tuple[StreamConfig, ...]:
    """Describe the three streams: bounded, on disk, refusing rather than dropping when full."""
    return (
        _stream(EVENTS, ["shoal.events.>"], limits.events_bytes, limits, max_age=7 * DAY_S),
        _stream(
            TELEMETRY,
            ["shoal.telemetry.batch.>"],
            limits.telemetry_bytes,
            limits,
            retention=RetentionPolicy.WORK_QUEUE,
        ),
        _stream(DEAD, ["shoal.dead.>"], limits.dead_bytes, limits, max_age=30 * DAY_S),
    )


async def acknowledge(message: Msg, *, timeout_s: float = 2) -> bool:
    """Acknowledge and wait until the server knows; False when that is not certain (it will deliver again)."""
    try:
        await message.ack_sync(timeout=timeout_s)
    except (NatsError, OSError, TimeoutError):
        return False
    return True


@contextlib.asynccontextmanager
async def subscribed(client: Client, subject: str, act: Callable[[Msg], Awaitable[None]]) -> AsyncIterator[None]:
    """Receive a core subject's messages while the block runs."""
    subscription = await client.subscribe(subject, cb=act)
    try:
        yield
    finally:
        with contextlib.suppress(NatsError, OSError):
            await subscription.unsubscribe()


def _stream(
    name: str,
    subjects: list[str],
    most: int,
    limits: StreamLimits,
    *,
    max_age: float = 0,
    retention: RetentionPolicy = RetentionPolicy.LIMITS,
) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=subjects,
        retention=retention,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        max_bytes=most,
        max_age=max_age,
        max_msg_size=MEBIBYTE,
        duplicate_window=120,
        num_replicas=limits.replicas,
    )


async def _ensure_stream(jetstream: JetStreamContext, wanted: StreamConfig) -> None:
    try:
        found = (await jetstream.stream_info(str(wanted.name))).config
    except NotFoundError:
        with contextlib.suppress(APIError):  # another service made it in the meantime
            await jetstream.add_stream(wanted)
        return
    if (found.max_bytes, found.max_age, found.num_replicas) != (
        wanted.max_bytes,
        wanted.max_age,
        wanted.num_replicas,
    ):
        await jetstream.update_stream(wanted)
