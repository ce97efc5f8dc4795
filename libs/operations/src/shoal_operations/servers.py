"""NATS as operators sign in to it: for a moment, at whatever address they give."""

import asyncio
import os
from pathlib import Path
from urllib.parse import urlsplit

from nats.aio.client import Client
from nats.errors import Error as NatsError

from shoal.messaging import trust
from shoal.reasons import reason
from shoal_operations.errors import OperationError

CONNECT_S = 5.0
AUTHORITY = "SHOAL_NATS_CA"
"""The variable that names the certificates of who may have signed NATS' own, as for services."""
_CURE = "start it, or set SHOAL_NATS_URL to where it is"


class AwayError(OperationError):
    """NATS cannot be reached, refuses, or is not to be trusted."""


async def sign_in(url: str) -> Client:
    """Connect, once.

    Raises:
        AwayError: The server cannot be reached, refuses, or is not to be trusted.
    """
    told: list[Exception] = []

    async def note(error: Exception) -> None:  # else nats-py writes a traceback
        told.append(error)

    given = os.environ.get(AUTHORITY)
    client = Client()
    try:
        async with asyncio.timeout(CONNECT_S):  # nats-py goes on trying a server that refuses, whatever it is told
            tls = trust(Path(given) if given else None)
            await client.connect(url, tls=tls, allow_reconnect=False, error_cb=note)
    except (OSError, NatsError, TimeoutError) as error:
        place = urlsplit(url).netloc.rpartition("@")[2]
        why = reason(told[-1] if told else error)
        raise AwayError(f"NATS cannot be reached at {place}: {why}", _CURE) from error
    return client
