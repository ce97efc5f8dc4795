"""NATS as operators sign in to it: for a moment, at whatever address they give."""

import os
from pathlib import Path

import nats
from nats.aio.client import Client

from shoal.messaging import trust

CONNECT_S = 5
AUTHORITY = "SHOAL_NATS_CA"
"""The variable that names the certificates of who may have signed NATS' own, as for services."""


async def sign_in(url: str) -> Client:
    """Connect, once.

    Raises:
        OSError, NatsError: The server cannot be reached, refuses, or is not to be trusted.
    """
    given = os.environ.get(AUTHORITY)
    tls = trust(Path(given) if given else None)
    return await nats.connect(url, tls=tls, connect_timeout=CONNECT_S, allow_reconnect=False)
