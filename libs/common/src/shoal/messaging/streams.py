"""The streams: what they hold, how much, and that they are there."""

import structlog
from msgspec import Struct
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

MEBIBYTE = 1024 * 1024
DAY_S = 86400.0

EVENTS, TELEMETRY, DEAD = "EVENTS", "TELEMETRY", "DEAD"


class StreamLimits(Struct, frozen=True):
    """How much each stream may hold before publishers are made to wait."""

    events_bytes: int = 1024 * MEBIBYTE
    telemetry_bytes: int = 2048 * MEBIBYTE
    dead_bytes: int = 128 * MEBIBYTE
    replicas: int = 1


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


async def ensure_stream(jetstream: JetStreamContext, wanted: StreamConfig) -> None:
    """Make a stream, or change an existing one to what is wanted.

    All services do this at once: who comes second finds what the first one made. Who may not make or change streams
    works with those that are there.

    Raises:
        NatsError: The stream is not there, and could not be made.
    """
    name = str(wanted.name)
    try:
        found = await jetstream.stream_info(name)
    except NotFoundError:
        try:
            await jetstream.add_stream(wanted)
        except NatsError as error:
            structlog.get_logger().warning("stream_not_made", stream=name, error=repr(error))
        found = await jetstream.stream_info(name)
    if _terms(found.config) != _terms(wanted):
        try:
            await jetstream.update_stream(wanted)
        except NatsError as error:
            structlog.get_logger().warning("stream_not_changed", stream=name, error=repr(error))


def _terms(config: StreamConfig) -> tuple[object, ...]:
    return (
        config.subjects,
        config.max_bytes,
        config.max_age,
        config.max_msg_size,
        config.discard,
        config.duplicate_window,
        config.num_replicas,
    )


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
