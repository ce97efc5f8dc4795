"""Whom a connection to NATS believes to be NATS."""

import ssl
from pathlib import Path


def trust(authority: Path | None) -> ssl.SSLContext | None:
    """Trust those whose certificates this authority signed; without one, those that the machine trusts.

    Raises:
        OSError: The file cannot be read, or holds no certificate (PEM).
    """
    return ssl.create_default_context(cafile=authority) if authority else None
