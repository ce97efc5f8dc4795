"""What this service is told, in the order of the chart's values."""

from datetime import timedelta
from typing import Annotated

from shoal.config import ServiceConfig, check_plans, check_public_url, shared


class Config(ServiceConfig, frozen=True, kw_only=True):
    """Settings of pairing."""

    public_url: Annotated[str, shared("SHOAL_PUBLIC_URL", check=check_public_url)] = "http://127.0.0.1:8080"
    """Where agents and browsers reach the gateway; `websocket_url` and `inbox_url` are made of it."""
    token_ttl: timedelta = timedelta(minutes=30)
    """How long a pairing token may be redeemed."""
    expiry_interval: timedelta = timedelta(seconds=30)
    """How often pairings that nobody confirmed in time are ended."""
    connect_token_ttl: timedelta = timedelta(hours=1)
    """How long a registered agent may take to hand in its public key."""
    invites_per_hour: int = 10
    """How many connection invites an account may send within an hour."""
    plans: Annotated[str, shared("SHOAL_PLANS", check=check_plans)] = '{"self-hosted": {}}'
    """Limits by plan: a JSON object from plan to `max_agents`, `max_connections`, `max_pairings_per_connection`."""
    default_plan: Annotated[str, shared("SHOAL_DEFAULT_PLAN")] = "self-hosted"
    """The plan of accounts of which none is told."""
