"""What this service is told, in the order of the chart's values."""

from datetime import timedelta
from typing import Annotated

from shoal.config import ServiceConfig, shared


class Config(ServiceConfig, frozen=True, kw_only=True):
    """Settings of pairing."""

    public_url: Annotated[str, shared("SHOAL_PUBLIC_URL")] = "http://127.0.0.1:8080"
    """Where agents and browsers reach the gateway; `websocket_url` is made of it."""
    token_ttl: timedelta = timedelta(minutes=30)
    """How long a pairing token may be redeemed."""
    expiry_interval: timedelta = timedelta(seconds=30)
    """How often pairings that nobody confirmed in time are ended."""
