"""The copy of the stream EVENTS that outsiders read: a mirror in their own account, a millisecond behind."""

from datetime import timedelta
from typing import Final

from nats.js.api import ExternalStream, StorageType, StreamConfig, StreamSource
from nats.js.errors import BadRequestError

from shoal.messaging import EVENTS as STREAM
from shoal_operations.servers import sign_in

COPY_API: Final = "copy.api"
"""Prefix under which READERS sees the JetStream API of SHOAL; only the mirror may use it."""
COPY_DELIVER: Final = "copy.deliver"
"""Prefix under which SHOAL delivers to the mirror."""

_DAYS: Final = timedelta(days=7)


async def ensure_copy(url: str, *, max_bytes: int = 1024**3) -> None:
    """Create the copy, or change an existing one to these limits. Call it when EVENTS itself exists.

    Args:
        url: Address of NATS for the user `copier`.
        max_bytes: Size at which the copy drops its oldest facts; it keeps them for 7 days at most.
    """
    config = StreamConfig(
        name=STREAM,
        mirror=StreamSource(name=STREAM, external=ExternalStream(api=COPY_API, deliver=COPY_DELIVER)),
        storage=StorageType.FILE,
        max_age=_DAYS.total_seconds(),
        max_bytes=max_bytes,
        deny_delete=True,
        deny_purge=True,
    )
    client = await sign_in(url)
    try:
        jetstream = client.jetstream()
        try:
            await jetstream.add_stream(config)
        except BadRequestError:  # it exists with other limits
            await jetstream.update_stream(config)
    finally:
        await client.close()
